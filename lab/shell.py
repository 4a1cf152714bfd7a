"""`lab env`: what a shell needs so that plain Pulumi works on the local cloud."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

import toolchain
from lab.clouds import SHELL_VARIABLE, Cloud
from lab.engine import Engine
from lab.errors import LabError
from lab.lifecycle import prepare_stack
from lab.locks import held
from lab.overrides import current_config
from lab.project import Project, ensure_usable, validate
from lab.report import Report


def exports(project: Project, cloud: Cloud, student: str, report: Report) -> dict[str, str]:
    """The variables for `pulumi preview`, `up` and `destroy` on the local cloud, the student's stack being selected."""
    if cloud.backend() is None:
        raise LabError("env", "on Azure plain pulumi needs nothing from the lab", "Run pulumi up in the checkout.")
    engine = Engine(project, cloud, student)
    config = current_config(project, cloud, student)
    validate(project, config)
    ensure_usable(project.state)
    with held(engine.lock, "lab env", report):
        cloud.prepare(report)
        prepare_stack(engine, config, report)
        engine.command("stack", "select", student, named=False)
    pulumi = toolchain.pulumi()
    folders = [str(pulumi.parent), str(Path(sys.prefix) / "bin")]
    if shutil.which("pulumi-language-python", path=os.pathsep.join([folders[0], os.environ.get("PATH", "")])) is None:
        folders.insert(0, str(_language_host(cloud.folder / "bin")))
    return {
        **cloud.engine_env(),
        "PATH": os.pathsep.join([*folders, os.environ.get("PATH", "")]),
        # Plain commands work in the state folder too: `pulumi stack init` would write a salt into the checkout.
        "PULUMI_OPTION_CWD": str(cloud.folder),
        "VIRTUAL_ENV": sys.prefix,
        SHELL_VARIABLE: cloud.name,
    }


def lines(variables: dict[str, str]) -> list[str]:
    """One `export` for each variable, quoted for sh."""
    return [f"export {name}={shlex.quote(value)}" for name, value in sorted(variables.items())]


def _language_host(folder: Path) -> Path:
    """A folder with the lab's own language host, for a CLI that came without one."""
    script = folder / "pulumi-language-python"
    folder.mkdir(parents=True, exist_ok=True)
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m lab.language_host "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return folder
