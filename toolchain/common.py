"""What every part of the set-up shares: the cache, its lock, running a tool, and telling the user."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parent.parent

# Where lines can't be replaced, such as in CI's log, each stands on its own.
_CLEAR = "\r\033[2K" if sys.stdout.isatty() else ""


class ToolMissing(Exception):
    """A tool that the lab needs is not here; the text says which and what to do."""


def cache() -> Path:
    """The folder outside the checkout that keeps what set-up fetched or built."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "azure-streaming-lab"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the set-up lock of a folder, so that two set-ups at once do not meet half-made files.

    A folder that can't be written needs none: whatever is missing in it fails by itself.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".set-up.lock").open("w")
    except OSError:
        yield
        return
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def say(text: str) -> None:
    """Show what is under way: one line, which the next one replaces on a terminal."""
    print(f"{_CLEAR}set-up     {text} …", end="" if _CLEAR else "\n", flush=True)


def say_last(text: str, file: TextIO | None = None) -> None:
    """Show how it ended, in the place of what was under way; on stdout unless another file is given."""
    print(_CLEAR, end="", flush=True)
    print(text, file=file, flush=True)


def run(
    command: Sequence[str | Path],
    what: str,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    inherited: Mapping[str, str] | None = None,
    timeout: float = 3600,
) -> str:
    """Run a tool and return what it printed; raises ToolMissing with its last lines when it fails.

    `what` completes "… failed"; `inherited` is the environment that `env` adds to, by default this process's;
    `timeout` is in seconds.
    """
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env={**(os.environ if inherited is None else inherited), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolMissing(f"{what} failed: {error}") from None
    if done.returncode:
        last = [line.strip() for line in done.stdout.splitlines() if line.strip()][-3:]
        raise ToolMissing(f"{what} failed: {' · '.join(last) or f'exit code {done.returncode}'}")
    return done.stdout
