"""Run a command that must not outlive its owner: ``python guard.py COMMAND…`` ends it when its own stdin ends.

A program of its own, with the standard library alone, because the background process cannot ask the kernel for this:
there the signal would come when the thread that started the command ends.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys

_GRACE = 10.0  # seconds between SIGTERM and SIGKILL


def main(command: list[str]) -> int:
    """The command's exit code."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)

    def die_with_parent() -> None:
        if libc is not None:
            libc.prctl(1, signal.SIGKILL, 0, 0, 0)

    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)  # noqa: PLW1509
    while child.poll() is None:
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
        if 0 in ready and not os.read(0, 4096):
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_GRACE)
            child.kill()
            return child.wait()
    return child.returncode


if __name__ == "__main__":
    sys.exit(abs(main(sys.argv[1:])))
