"""`lab env`: what a shell needs so that plain Pulumi works on the local cloud."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from lab.clouds import SHELL_VARIABLE, Cloud
from lab.engine import Engine
from lab.engine_cli import foreign
from lab.errors import LabError
from lab.lifecycle import prepare_stack
from lab.locks import held
from lab.loopback import past_proxies
from lab.overrides import current_config
from lab.project import Project, ensure_usable, validate
from lab.report import Report


def exports(project: Project, cloud: Cloud, student: str, report: Report) -> dict[str, str | None]:
    """The variables for `pulumi preview`, `up` and `destroy` on the local cloud, the student's stack being selected.

    None where a variable of the user's own must go.
    """
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
    engine_env = cloud.engine_env()
    return {
        **dict.fromkeys(foreign(os.environ, engine_env)),
        **engine_env,
        **past_proxies(os.environ),
        # Set-up put what plain pulumi needs, and was not on PATH, into `.venv`.
        "PATH": os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ.get("PATH", "")]),
        # Plain commands work in the state folder too: `pulumi stack init` would write a salt into the checkout.
        "PULUMI_OPTION_CWD": str(cloud.folder),
        "VIRTUAL_ENV": sys.prefix,
        SHELL_VARIABLE: cloud.name,
    }


def lines(variables: Mapping[str, str | None]) -> list[str]:
    """One `export` or `unset` for each variable, quoted for sh."""
    return [
        f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}"
        for name, value in sorted(variables.items())
    ]
