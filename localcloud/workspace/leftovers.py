"""What a deleted workspace leaves: removed at once or, if the local cloud was killed in between, by its next start."""

import shutil
from collections.abc import Set
from pathlib import Path

from localcloud.processes import kill_leftovers
from localcloud.store import Store
from localcloud.workspace import shelf

# What belongs to one workspace; what the metastore holds is its region's and stays.
_SHELVES = (
    "user", "scope", "secret", "secret-acl", "permissions", "object", "policy", "cluster", "cluster-event",
    "cluster-libraries", "job", "run", "run-token",
)  # fmt: skip


def remove(store: Store, state: Path, workspace_ids: Set[str]) -> None:
    """Remove the objects and folders of all workspaces but these, and the folders of clusters that don't exist."""
    for kind in _SHELVES:
        shelf.keep(store, kind, workspace_ids)
    _keep_folders(state / "workspaces", workspace_ids)
    _keep_folders(state / "clusters", {key for _, key in shelf.owned(store, "cluster")})


def _keep_folders(root: Path, names: Set[str]) -> None:
    for folder in root.iterdir() if root.is_dir() else ():
        # A file browser leaves files of its own.
        if folder.is_dir() and folder.name not in names:
            for record in folder.glob("*.pids"):
                kill_leftovers(record)
            shutil.rmtree(folder, ignore_errors=True)
