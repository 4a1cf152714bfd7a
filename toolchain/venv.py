"""uv, and the project's `.venv` made from the locked requirements."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

from toolchain.common import ROOT, ToolMissing, cache, run, say

UV = "0.13.9"
VENV = ROOT / ".venv"
RELEASE = ".".join(str(part) for part in sys.version_info[:2])


def ensure_uv() -> Path:
    """Uv from PATH, else installed with pip into the cache."""
    on_path = shutil.which("uv")
    if on_path:
        return Path(on_path)
    home = cache() / f"uv-{UV}"
    uv = home / "bin" / "uv"
    if not uv.is_file():
        say("installing uv")
        run(
            [sys.executable, "-m", "venv", "--clear", home],
            "Making a virtual environment (on Debian: apt install python3-venv)",
        )
        run(
            [home / "bin/python", "-m", "pip", "install", "-q", "--require-hashes", "-r", ROOT / "requirements-uv.txt"],
            "Installing uv with pip",
        )
    return uv


def _wanted() -> str:
    files = [ROOT / "requirements.txt", ROOT / "pyproject.toml"]
    text = b"".join(path.read_bytes() for path in files) + sys.version.encode() + str(ROOT).encode()
    return hashlib.sha256(text).hexdigest()


def ensure_venv(uv: Path) -> None:
    """Bring `.venv` to exactly what requirements.txt locks, unless it is there already."""
    stamp = VENV / ".set-up"
    if stamp.is_file() and stamp.read_text() == _wanted():
        return
    say("installing the Python packages (1 GB)")
    if not ((VENV / "bin/python").exists() and (VENV / f"lib/python{RELEASE}").is_dir()):
        # Resolved, because this may be the Python of the very folder that is made anew.
        run([uv, "venv", "-q", "--clear", "--python", Path(sys.executable).resolve(), VENV], "Making .venv")
    sync: list[str | Path] = [
        uv,
        "pip",
        "sync",
        "-q",
        "--python",
        VENV / "bin/python",
        "--require-hashes",
        ROOT / "requirements.txt",
    ]
    try:
        # What uv's cache already has needs no network.
        run([*sync, "--offline"], "Installing from the cache")
    except ToolMissing:
        run(sync, "Installing the Python packages of requirements.txt")
    install: list[str | Path] = [uv, "pip", "install", "-q", "--python", VENV / "bin/python", "--offline"]
    run(
        [*install, "--no-deps", "--no-build-isolation", "-e", ROOT],
        "Installing the lab command",
    )
    write_path_file(VENV / f"lib/python{RELEASE}/site-packages")
    stamp.write_text(_wanted())


def write_path_file(site_packages: Path) -> None:
    """Name the checkout in the editable install's `.pth` relative to it: Python reads it in the locale's encoding.

    With LC_ALL=C a checkout's path with other than ASCII letters would end each start of Python.
    """
    (site_packages / "_azure_streaming_lab.pth").write_text("../../../..\n", encoding="ascii")
