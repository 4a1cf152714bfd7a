"""Storage containers: a folder for each, which Spark reaches by its ``abfss://`` address."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from localcloud.settings import Settings


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
    for account in root.iterdir() if root.is_dir() else ():
        for path in account.iterdir():
            if path not in wanted:
                shutil.rmtree(path)
        if not any(account.iterdir()):
            account.rmdir()


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
