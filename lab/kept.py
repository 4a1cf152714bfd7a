"""`lab down --keep-data`: a student's data, moved out of the cloud before everything is deleted."""

from __future__ import annotations

import time
from pathlib import Path

from lab.clouds import Cloud
from lab.errors import LabError
from lab.leftovers import Names
from lab.project import Project
from lab.state import State


def storage_of(cloud: Cloud) -> Path:
    """The cloud's folder of storage accounts; raises LabError where data can't be kept."""
    storage = cloud.storage()
    if storage is None:
        raise LabError(
            "--keep-data",
            f"the storage account is deleted with its resource group on {cloud.title}",
            "Copy what you need with azcopy first, then run lab down without it.",
            code=2,
        )
    return storage


def data_of(cloud: Cloud, student: str, state: State | None, names: Names) -> Path | None:
    """The folder of the student's storage account.

    None where the record shows that there is nothing to keep: no exercise ran, or an earlier `down` has moved it.
    Raises LabError where there is no record to say so.
    """
    storage = storage_of(cloud)
    account = _account(state, names)
    # An account without data has a folder too, for its container.
    if account and any(path.is_file() for path in (storage / account).rglob("*")):
        return storage / account
    if state is None:
        where = storage / account if account else storage
        raise LabError("--keep-data", f"no data of student {student} is in {where}", "Run lab down without it.")
    return None


def keep(project: Project, student: str, data: Path) -> Path:
    """Move the data to `kept/<student>-<time>` in the state folder; returns where it is now."""
    kept = project.state / "kept" / f"{student}-{time.strftime('%Y%m%d-%H%M%S')}"
    kept.parent.mkdir(parents=True, exist_ok=True)
    return data.rename(kept)


def _account(state: State | None, names: Names) -> str | None:
    """The student's storage account: the record's, or without a record the one that the program names."""
    if state is None:
        return names.given.storage_account if names.given else None
    accounts = (one for one in state.resources if one["type"] == "azure-native:storage:StorageAccount")
    return next((str(one["inputs"]["accountName"]) for one in accounts), None)
