"""The Pulumi CLI: from PATH, else by the official installer, else built once from its Go module into the cache.

The module has no language host for Python: a CLI that was built from it gets the lab's own.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from functools import cache as once
from pathlib import Path

from toolchain.common import ROOT, ToolMissing, cache, run, say

VERSION = "3.259.0"
COMMAND = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
GO_MODULE = Path(__file__).with_name("engine_module")
LANGUAGE_HOST = "pulumi-language-python"


@once
def version(pulumi: Path) -> tuple[int, ...] | None:
    """The version of a pulumi executable, or None when it is none."""
    try:
        told = subprocess.run([pulumi, "version"], capture_output=True, text=True, timeout=60, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", told)
    return tuple(int(part) for part in found.groups()) if found else None


def _new_enough(pulumi: Path) -> bool:
    return (version(pulumi) or (0,)) >= tuple(int(part) for part in VERSION.split("."))


def _cached() -> Path:
    return cache() / "pulumi" / VERSION / "bin" / "pulumi"


def _on_path(name: str) -> str | None:
    """The executable that the user has on PATH: what set-up itself put into an activated `.venv` does not count."""
    own = ROOT / ".venv" / "bin"
    folders = (folder for folder in os.environ.get("PATH", "").split(os.pathsep) if Path(folder) != own)
    return shutil.which(name, path=os.pathsep.join(folders))


def find() -> Path:
    """The pulumi executable, VERSION or newer; raises ToolMissing when there is none."""
    on_path = _on_path("pulumi")
    if on_path and _new_enough(Path(on_path)):
        return Path(on_path)
    # The cached one appears whole or not at all, and its folder is its version: asking it would cost 0.2 s each time.
    if _cached().is_file():
        return _cached()
    raise ToolMissing(f"The Pulumi CLI {VERSION} or newer is needed. Run make lab, which fetches it, or install it.")


def ensure() -> Path:
    """Find the CLI, or install it, or build it; its folder in the cache appears whole or not at all."""
    try:
        return find()
    except ToolMissing:
        pass
    home = _cached().parent.parent
    # An interrupted set-up may have left one; the lock of the cache is held, so nobody else is making it.
    scratch = home.with_name(f"{VERSION}.part")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        _make(scratch)
        shutil.rmtree(home, ignore_errors=True)
        scratch.rename(home)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return find()


def link(folder: Path) -> None:
    """Put into `folder` what plain `pulumi` on a Python program needs and the user's PATH lacks.

    That is the cached CLI when it is the one that `find` gives, and the lab's language host for a CLI without its own.
    """
    pulumi = find()
    has_host = pulumi.resolve().with_name(LANGUAGE_HOST).exists() or _on_path(LANGUAGE_HOST)
    _provide(folder / "pulumi", [str(pulumi)] if pulumi == _cached() else None)
    _provide(folder / LANGUAGE_HOST, None if has_host else [str(folder / "python"), "-m", "lab.language_host"])


def _provide(script: Path, command: list[str] | None) -> None:
    """Make `script` run a command; remove it where there is none. A pulumi at work never meets half a script."""
    if command is None:
        script.unlink(missing_ok=True)
        return
    part = script.with_name(f".{script.name}.part")
    part.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
    part.chmod(0o755)
    part.replace(script)


def _make(home: Path) -> None:
    try:
        _install(home)
    except ToolMissing as refused:
        go = shutil.which("go")
        if go is None:
            raise ToolMissing(
                f"The Pulumi CLI is not on PATH, and its installer can't be reached ({refused}). "
                f"Install Pulumi {VERSION} or newer, or Go, with which set-up builds it."
            ) from None
        _build(Path(go), home / "bin" / "pulumi")


def _install(home: Path) -> None:
    say(f"installing Pulumi {VERSION}")
    program = (
        "import semver, sys; from pulumi.automation import PulumiCommand; "
        "PulumiCommand.install(sys.argv[1], semver.VersionInfo.parse(sys.argv[2]))"
    )
    run([ROOT / ".venv/bin/python", "-c", program, home, VERSION], "The installer", timeout=600)


def _build(go: Path, target: Path) -> None:
    say(f"building Pulumi {VERSION} from its Go module (5 to 10 minutes, once)")
    stamp = f"-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{VERSION}"
    run(
        [go, "build", "-trimpath", "-mod=readonly", "-ldflags", f"-s -w {stamp}", "-o", target, COMMAND],
        "Building the Pulumi CLI from its Go module",
        cwd=GO_MODULE,
    )
