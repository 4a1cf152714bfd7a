"""One engine at a time for each stack, across processes."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from lab.report import Report


@contextmanager
def held(path: Path, doing: str, report: Report) -> Iterator[None]:
    """Hold the lock file `path` while the block runs; wait for another holder, saying who it is.

    The kernel drops the lock when its process dies, so a lock is never stale. The file stays: removing it would let two
    processes lock two different files of one name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report.line("waiting", f"{_holder(file.name)} holds {path.stem}; this goes on when it has ended")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        since = datetime.now().astimezone().isoformat(timespec="seconds")
        file.write(json.dumps({"pid": os.getpid(), "doing": doing, "since": since}))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def is_held(path: Path) -> bool:
    """Whether a process holds this lock file now."""
    with path.open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _holder(path: str) -> str:
    try:
        holder = json.loads(Path(path).read_text(encoding="utf-8"))
        return f"{holder['doing']} (process {holder['pid']}, since {holder['since']})"
    except (OSError, ValueError, KeyError):
        return "another process"
