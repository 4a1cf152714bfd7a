"""What goes into the workspace: the jobs' wheel, built from its sources, and the notebooks."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "streaming_lab"
NOTEBOOKS = ("01_concepts", "02_windows", "03_event_hubs")

_RELEASE = "1.0.0"
# Databricks imports no larger file into a workspace.
_LARGEST_IMPORT = 10 * 1024 * 1024


class ContentError(Exception):
    """A source is missing or can't be built: one sentence."""


@dataclass(frozen=True)
class Content:
    """Files for the workspace, in memory.

    wheel_name: file name of the wheel; its version carries a hash of the sources
    wheel: the wheel
    notebooks: name without ending → Databricks source
    """

    wheel_name: str
    wheel: bytes
    notebooks: dict[str, bytes]


def read(root: Path) -> Content:
    """The content of a checkout; raises ContentError."""
    notebooks = {name: _read(root / "notebooks" / f"{name}.py", "notebook") for name in NOTEBOOKS}
    wheel_name, wheel = build_wheel(root / "jobs")
    return Content(wheel_name, wheel, notebooks)


def build_wheel(project: Path) -> tuple[str, bytes]:
    """Name and bytes of the wheel of a project folder; raises ContentError."""
    _read(project / "pyproject.toml", "wheel's project file")
    if not (project / PACKAGE / "__init__.py").is_file():
        raise ContentError(f"the wheel's package {project / PACKAGE} is missing")
    try:
        name, wheel = _build(project)
    except OSError as error:
        raise ContentError(f"the wheel of {project} can't be built: {error}") from None
    if len(wheel) > _LARGEST_IMPORT:
        raise ContentError(f"the wheel of {project} has {len(wheel)} bytes: a workspace takes 10 MB")
    return name, wheel


def _build(project: Path) -> tuple[str, bytes]:
    version = f"{_RELEASE}+{_hash(project)}"
    with tempfile.TemporaryDirectory() as folder:
        built = subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
            cwd=project,
            # The epoch keeps the wheel the same wherever it is built.
            env={**os.environ, "STREAMING_LAB_VERSION": version, "SOURCE_DATE_EPOCH": "1577836800"},
            capture_output=True,
            text=True,
            check=False,
        )
        wheels = list(Path(folder).glob("*.whl"))
        if built.returncode or len(wheels) != 1:
            reason = (built.stderr.strip() or built.stdout.strip() or "no wheel came out").splitlines()[-1]
            raise ContentError(f"the wheel of {project} can't be built: {reason}")
        return wheels[0].name, wheels[0].read_bytes()


def _hash(project: Path) -> str:
    """12 hexadecimal digits of the sources' names and bytes."""
    digest = hashlib.sha256()
    package = project / PACKAGE
    sources = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    for path in [project / "pyproject.toml", *sorted(sources)]:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(project).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:12]


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ContentError(f"the {what} {path} can't be read: {(error.strerror or str(error)).lower()}") from None
