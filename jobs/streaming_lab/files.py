"""Small files and folders on the lab's storage, through `dbutils.fs`.

With Unity Catalog the storage knows Spark's own plans and dbutils, which ask the catalog for their access. Code that
opens Hadoop's file systems by itself has no account key there and is refused (databrickslabs/overwatch#1096, #1183).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

_LARGEST = 1_000_000
"""Bytes of a JSON file: `dbutils.fs.head` reads a file up to a number of bytes, and silently no further."""


def exists(path: str) -> bool:
    """Whether there is a file or folder at the path."""
    return _found(_fs().ls, path) is not None


def require_input(path: str) -> None:
    """End the task with one sentence where its input folder is missing."""
    if not exists(path):
        raise SystemExit(f"there is no input in {path}; run the task generate first")


def delete(path: str) -> None:
    """Delete a file, or a folder with all that is in it; nothing happens where there is none."""
    _found(_fs().rm, path, True)


def delete_older(folder: str, seconds: float) -> None:
    """Delete the data files of a folder that were last changed more than so many seconds ago."""
    limit = (time.time() - seconds) * 1000
    for entry in _found(_fs().ls, folder) or ():
        if entry.name.startswith("part-") and entry.modificationTime < limit:
            delete(entry.path)


def make_folder(path: str) -> None:
    """Make a folder and its parents where they are missing."""
    _fs().mkdirs(path)


def names(path: str) -> list[str]:
    """The sorted names in a folder; empty where there is no folder."""
    return sorted(entry.name.rstrip("/") for entry in _found(_fs().ls, path) or ())


def read_json(path: str) -> dict[str, Any] | None:
    """The JSON object in a file; None where there is no file, or one that was not written to its end.

    A file is written in place, so a reader may find it empty or in part, and an interruption may leave it so. It counts
    as not there, and what it told is made anew: without a manifest the input and all that comes from it (at scale 1
    where no other is asked for), without its run in the hub exercise 3, without a ledger the measurement, without their
    settings the window tables.
    """
    text = _found(_fs().head, path, _LARGEST)
    try:
        value = json.loads(text or "")
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def write_json(path: str, value: dict[str, Any]) -> None:
    """Write a JSON object as a file, over an old one if there is one; ValueError where it is larger than 1 MB."""
    text = json.dumps(value, indent=1) + "\n"
    if len(text) > _LARGEST:
        raise ValueError(f"{path} would have {len(text):,} bytes, and {_LARGEST:,} can be read again")
    _fs().put(path, text, True)


def _fs() -> Any:
    # A cluster gives it its session when it is first imported: not before there is one.
    from databricks.sdk.runtime import dbutils

    return dbutils.fs


def _found(act: Callable[..., Any], path: str, *more: object) -> Any:
    """What an act of dbutils on a path returns; None where there is nothing at the path."""
    try:
        return act(path, *more)
    except Exception as error:
        # dbutils tells Java's exceptions by their text alone; what comes before the stack is the exception itself.
        if "java.io.FileNotFoundException" in str(error).partition("\n\tat ")[0]:
            return None
        raise
