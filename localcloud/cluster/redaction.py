"""`[REDACTED]` where a notebook shows a secret that it read, as Databricks does in notebooks and nowhere else."""

import contextlib
import io
import sys
from collections.abc import Iterator
from threading import Lock
from typing import Any, TextIO

from databricks.sdk.dbutils import _SecretsUtil

_secrets: set[str] = set()


@contextlib.contextmanager
def in_output() -> Iterator[None]:
    """Watch what `dbutils` hands to this process, the notebook's own and that of modules, and hide it in its output."""
    read = _SecretsUtil.getBytes

    def remember(self: Any, scope: str, key: str) -> bytes:
        value = read(self, scope, key)
        # Output is looked at line by line.
        _secrets.update(line for line in value.decode(errors="replace").splitlines() if line)
        return value

    # `get` asks it too.
    _SecretsUtil.getBytes = remember  # type: ignore[method-assign]
    shown = sys.stdout, sys.stderr
    hiding = _Lines(sys.stdout), _Lines(sys.stderr)
    sys.stdout, sys.stderr = hiding
    try:
        yield
    finally:
        sys.stdout, sys.stderr = shown
        for each in hiding:
            each.finish()


def hide(text: str) -> str:
    """The text without the secrets that this process read while it was watched."""
    # The longest first: one secret may be a part of another.
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, "[REDACTED]")
    return text


class _Lines(io.TextIOBase):
    """A stream that shows whole lines, for a secret may be written in parts."""

    def __init__(self, shown: TextIO) -> None:
        self._shown = shown
        self._rest = ""
        # Streams call Python back in threads of their own.
        self._lock = Lock()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._shown.fileno()

    def write(self, text: str) -> int:
        with self._lock:
            *lines, self._rest = (self._rest + text).split("\n")
            for line in lines:
                self._shown.write(hide(line) + "\n")
        return len(text)

    def finish(self) -> None:
        """Show a last line that did not end."""
        self._shown.write(hide(self._rest))
        self._shown.flush()
