"""Storage containers: a folder for each, which Spark reaches by its ``abfss://`` address."""

import contextlib
import shutil
from collections.abc import Iterable
from pathlib import Path
from secrets import token_hex
from typing import Protocol

from localcloud.settings import Settings

_TRASH = ".trash-"


class Container(Protocol):
    """What this room needs to know of a blob container."""

    @property
    def account(self) -> str:
        """The storage account's name."""

    @property
    def name(self) -> str:
        """The container's name."""


def folder(settings: Settings, account: str, container: str) -> Path:
    """The folder that holds a container's files."""
    return settings.state / "storage" / account / container


def reconcile(settings: Settings, containers: Iterable[Container]) -> None:
    """Make the folder of each container, and remove the folders of containers and accounts that were deleted."""
    wanted = {folder(settings, each.account, each.name) for each in containers}
    for path in wanted:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    root = settings.state / "storage"
    for account in _folders(root):
        for path in _folders(account):
            if path not in wanted:
                # At one stroke, for a stream may still write in it; what is left of it then goes the next time.
                path.rename(root / f"{_TRASH}{token_hex(8)}")
        with contextlib.suppress(OSError):
            account.rmdir()  # unless something is in it
    for trash in root.glob(f"{_TRASH}*"):
        shutil.rmtree(trash, ignore_errors=True)


def _folders(path: Path) -> list[Path]:
    """Accounts or containers: no name of theirs starts with a dot, and a file browser leaves files of its own."""
    inside = path.iterdir() if path.is_dir() else ()
    return [each for each in inside if each.is_dir() and not each.name.startswith(".")]


def mount_conf(mounts: dict[str, Path]) -> dict[str, str]:
    """Spark conf that mounts folders under ``abfss://``; keys of ``mounts`` are whole authorities.

    Any other authority has no mount table, and is an error: its target is ViewFileSystem, which refuses to start
    without a table and names the authority, so nothing can fall through to a local path.
    """
    conf = {
        "spark.hadoop.fs.abfss.impl": "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme",
        "spark.hadoop.fs.viewfs.overload.scheme.target.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
        "spark.hadoop.fs.viewfs.overload.scheme.target.abfss.impl": "org.apache.hadoop.fs.viewfs.ViewFileSystem",
    }
    for authority, path in mounts.items():
        conf[f"spark.hadoop.fs.viewfs.mounttable.{authority}.linkFallback"] = path.resolve().as_uri()
    return conf
