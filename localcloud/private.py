"""Files that their owner alone can read: they hold keys, passwords, or what a task printed."""

import os
from pathlib import Path


def opener(path: str, flags: int) -> int:
    """For `open`: a file that it makes gets mode 0600."""
    return os.open(path, flags, 0o600)


def write(path: Path, text: str) -> None:
    """Write a whole file of mode 0600; readers see the old text or the new one, never a part."""
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "w", encoding="utf-8", opener=opener) as file:
            file.write(text)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
