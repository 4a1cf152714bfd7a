"""The Pulumi CLI: from PATH, else by the official installer, else built once from its Go module into the cache."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache as once
from pathlib import Path

from toolchain.common import ROOT, ToolMissing, cache, run, say

VERSION = "3.259.0"
COMMAND = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
GO_MODULE = Path(__file__).with_name("engine_module")


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


def find() -> Path:
    """The pulumi executable, VERSION or newer; raises ToolMissing when there is none."""
    on_path = shutil.which("pulumi")
    if on_path and _new_enough(Path(on_path)):
        return Path(on_path)
    # The cached one appears whole or not at all, and its folder is its version: asking it would cost 0.2 s each time.
    if _cached().is_file():
        return _cached()
    raise ToolMissing(f"The Pulumi CLI {VERSION} or newer is needed. Run make lab, which fetches it, or install it.")


def ensure() -> Path:
    """Find the CLI, or install it, or build it."""
    try:
        return find()
    except ToolMissing:
        pass
    home = _cached().parent.parent
    home.parent.mkdir(parents=True, exist_ok=True)
    try:
        _install(home)
    except ToolMissing as refused:
        go = shutil.which("go")
        if go is None:
            raise ToolMissing(
                f"The Pulumi CLI is not on PATH, and its installer can't be reached ({refused}). "
                f"Install Pulumi {VERSION} or newer, or Go, with which set-up builds it."
            ) from None
        _build(Path(go))
    return find()


def _install(home: Path) -> None:
    say(f"installing Pulumi {VERSION}")
    scratch = home.with_suffix(".part")
    shutil.rmtree(scratch, ignore_errors=True)
    program = (
        "import semver, sys; from pulumi.automation import PulumiCommand; "
        "PulumiCommand.install(sys.argv[1], semver.VersionInfo.parse(sys.argv[2]))"
    )
    try:
        run([ROOT / ".venv/bin/python", "-c", program, scratch, VERSION], "The installer", timeout=600)
        scratch.rename(home)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _build(go: Path) -> None:
    say(f"building Pulumi {VERSION} from its Go module (5 to 10 minutes, once)")
    _cached().parent.mkdir(parents=True, exist_ok=True)
    part = _cached().with_suffix(".part")
    stamp = f"-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{VERSION}"
    run(
        [go, "build", "-trimpath", "-mod=readonly", "-ldflags", f"-s -w {stamp}", "-o", part, COMMAND],
        "Building the Pulumi CLI from its Go module",
        cwd=GO_MODULE,
    )
    part.rename(_cached())
