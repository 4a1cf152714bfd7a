"""Child processes that never outlive the background process, and the ones that a killed one left behind."""

import contextlib
import ctypes
import json
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

import psutil

from localcloud import private

_PR_SET_PDEATHSIG = 1
# Loaded at import: between fork and exec is no place to open a library.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent() -> None:
    """Ask Linux to kill this process when the thread that forked it ends; elsewhere a pipe's end tells it."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def record(path: Path, pids: Iterable[int]) -> None:
    """Write process ids with their start times, so that a later start can tell them from strangers.

    On a full disk the old record stays: what runs must not end for it, and processes end with their parent anyway.
    """
    rows = []
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            rows.append([pid, psutil.Process(pid).create_time()])
    with contextlib.suppress(OSError):
        private.write(path, json.dumps(rows))


def kill_leftovers(path: Path) -> None:
    """Kill the recorded processes that still run, and forget the record."""
    try:
        rows = json.loads(path.read_text())
    except (OSError, ValueError):
        return
    for pid, started in rows:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            # Process ids are used again: only the same start time makes it the recorded process.
            if abs(process.create_time() - started) < 1 and process.uids().real == os.getuid():
                process.kill()
                process.wait(10)
    path.unlink(missing_ok=True)
