"""Who may do what with directories, notebooks and files.

A right on a directory holds for all that is in it. Databricks' documentation, folder ACLs: CAN_READ lists and exports,
CAN_EDIT changes what is there, CAN_MANAGE adds, deletes and gives rights.
"""

from functools import partial
from pathlib import PurePosixPath

from localcloud.workspace.errors import denied
from localcloud.workspace.files import Files, normal
from localcloud.workspace.people import Caller
from localcloud.workspace.permissions import Permissions
from localcloud.workspace.shelf import Record

_KINDS = {"DIRECTORY": "directories", "NOTEBOOK": "notebooks", "FILE": "files"}
# Everybody sees where homes and shared folders are.
_OPEN = ("/", "/Users")


class FileAccess:
    """The rights on the tree of one workspace."""

    def __init__(self, files: Files, permissions: Permissions) -> None:
        self._files = files
        self._permissions = permissions
        for object_type, kind in _KINDS.items():
            permissions.register(kind, partial(files.has, object_type), self._directories_above)

    def holds(self, path: str, caller: Caller, level: str) -> bool:
        """Whether the caller has this level or a stronger one on a path; where nothing is, on what it would lie in."""
        path = normal(path)
        if level == "CAN_READ" and path in _OPEN:
            return True
        return self._permissions.holds(*list_of(self._nearest(path)), caller, level)

    def require(self, path: str, caller: Caller, level: str) -> None:
        """Refuse a caller without this level."""
        if not self.holds(path, caller, level):
            raise denied(f"{caller.user_name} does not have {level} permissions on {normal(path)}.")

    def require_write(self, path: str, caller: Caller) -> None:
        """Refuse a caller who may not change what is there, or add it."""
        self.require(path, caller, "CAN_EDIT" if self._nearest(path)["path"] == normal(path) else "CAN_MANAGE")

    def require_directory(self, path: str, caller: Caller) -> None:
        """Refuse a caller who may not make this directory, or not see the one that is there."""
        self.require(path, caller, "CAN_READ" if self._nearest(path)["path"] == normal(path) else "CAN_MANAGE")

    def _nearest(self, path: str) -> Record:
        places = [normal(path), *map(str, PurePosixPath(normal(path)).parents)]
        return next(found for place in places if (found := self._files.find(place)))

    def _directories_above(self, object_id: str) -> list[tuple[str, str]]:
        found = self._files.with_id(object_id)
        parents = PurePosixPath(found["path"]).parents if found else ()
        return [list_of(self._files.status(str(parent))) for parent in parents]


def list_of(item: Record) -> tuple[str, str]:
    """Kind and id of the access list of a directory, notebook or file."""
    return _KINDS[item["object_type"]], str(item["object_id"])
