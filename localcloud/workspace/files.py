"""Directories, notebooks and files of a workspace. The tree is in the store, contents are files on disk."""

import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from localcloud.errors import DatabricksError
from localcloud.store import Store
from localcloud.workspace.errors import exists, invalid, missing, unsupported
from localcloud.workspace.shelf import Record, Shelf

MAX_BYTES = 10 * 1024 * 1024
LANGUAGES = {".py": "PYTHON", ".scala": "SCALA", ".sql": "SQL", ".r": "R"}
# The first line by which Databricks knows a notebook in source form.
_MARKS = {"PYTHON": "#", "R": "#", "SCALA": "//", "SQL": "--"}


class Files:
    """The workspace's tree. Paths are absolute; `/Workspace/…` and `/…` name the same object."""

    def __init__(self, store: Store, workspace_id: str, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._folder = folder
        self._clock = clock
        self._objects = Shelf(store, "object", workspace_id)
        for path in ("/", "/Users", "/Shared"):
            if not self._objects.get(path):
                self._add(path, "DIRECTORY")

    def status(self, path: str) -> Record:
        """`{"path", "object_id", "object_type", …}`; 404 if nothing is there."""
        found = self.find(path)
        if found is None:
            raise missing(f"Path ({normal(path)}) doesn't exist.")
        return found

    def find(self, path: str) -> Record | None:
        """As `status`; None if nothing is there."""
        return self._objects.get(normal(path))

    def with_id(self, object_id: str) -> Record | None:
        """The object with this id."""
        return next((item for item in self._objects.values() if str(item["object_id"]) == object_id), None)

    def has(self, object_type: str, object_id: str) -> bool:
        """Whether an object of this type (DIRECTORY, NOTEBOOK, FILE) has this id."""
        found = self.with_id(object_id)
        return found is not None and found["object_type"] == object_type

    def children(self, path: str) -> list[Record]:
        """What lies directly in a directory, by path; of a notebook or file, itself."""
        found = self.status(path)
        if found["object_type"] != "DIRECTORY":
            return [found]
        prefix = found["path"].rstrip("/") + "/"
        inside = [item for key, item in self._objects.items(prefix) if key != "/" and "/" not in key[len(prefix) :]]
        return sorted(inside, key=lambda item: str(item["path"]))

    def mkdirs(self, path: str) -> Record:
        """Make a directory and its parents; one that exists stays."""
        path = normal(path)
        with self._store.transaction():
            for part in [*reversed([str(parent) for parent in PurePosixPath(path).parents]), path]:
                found = self._objects.get(part)
                if found is None:
                    self._add(part, "DIRECTORY")
                elif found["object_type"] != "DIRECTORY":
                    raise exists(f"Cannot create directory {path}: {part} is a {found['object_type'].lower()}.")
        return self.status(path)

    def write(
        self, path: str, content: bytes, format_: str = "SOURCE", language: str | None = None, overwrite: bool = False
    ) -> Record:
        """Import a notebook (format SOURCE), a file (RAW), or whichever the content is (AUTO)."""
        path, object_type, language = _classify(normal(path), content, format_, language)
        if len(content) > MAX_BYTES:
            raise DatabricksError(
                400,
                "MAX_NOTEBOOK_SIZE_EXCEEDED",
                f"File size imported is ({len(content)} bytes), exceeded max size ({MAX_BYTES} bytes)",
            )
        with self._store.transaction():
            parent = str(PurePosixPath(path).parent)
            above = self._objects.get(parent)
            if above is None or above["object_type"] != "DIRECTORY":
                raise missing(f"The parent folder ({parent}) does not exist.")
            found = self._objects.get(path)
            if found and (not overwrite or found["object_type"] != object_type):
                raise exists(f"Path ({path}) already exists.", 409 if object_type == "FILE" else 400)
            record = found or self._add(path, object_type)
            self._store_content(record, content)
            record["modified_at"] = int(self._clock() * 1000)
            record["size"] = len(content)
            if language:
                record["language"] = language
            self._objects.put(path, record)
        return record

    def read(self, path: str) -> bytes:
        """The content of a notebook (source form) or a file."""
        found = self.status(path)
        if found["object_type"] == "DIRECTORY":
            raise unsupported(f"Export of directory {found['path']}")
        return self._content(found).read_bytes()

    def delete(self, path: str, recursive: bool = False) -> None:
        """Remove an object; a directory with something in it only if recursive."""
        with self._store.transaction():
            found = self.status(path)
            if found["path"] in ("/", "/Users", "/Shared"):
                raise DatabricksError(400, "BAD_REQUEST", f"Folder {found['path']} is protected")
            inside = [item for _, item in self._objects.items(found["path"] + "/")]
            if inside and not recursive:
                raise DatabricksError(
                    400, "DIRECTORY_NOT_EMPTY", f"Folder ({found['path']}) is not empty, use recursive delete."
                )
            for item in [found, *inside]:
                self._objects.delete(item["path"])
        # After the commit: an object that a crash brings back has its content still.
        for item in [found, *inside]:
            self._content(item).unlink(missing_ok=True)

    def _add(self, path: str, object_type: str) -> Record:
        now = int(self._clock() * 1000)
        object_id = 3_000_000_000_000 + self._store.next_id("databricks/object")
        record: Record = {
            "path": path,
            "object_id": object_id,
            "resource_id": str(object_id),
            "object_type": object_type,
            "created_at": now,
            "modified_at": now,
        }
        self._objects.put(path, record)
        return record

    def _content(self, record: Record) -> Path:
        return self._folder / str(record["object_id"])

    def _store_content(self, record: Record, content: bytes) -> None:
        # Renamed into place: a reader, or a crash, never sees half a file.
        self._folder.mkdir(parents=True, exist_ok=True)
        target = self._content(record)
        half = target.with_suffix(".part")
        half.write_bytes(content)
        half.replace(target)


def normal(path: str) -> str:
    """The path without `/Workspace`; 400 if it is not absolute."""
    if not path.startswith("/") or ".." in PurePosixPath(path).parts or "\n" in path:
        raise invalid(f"Path ({path}) must be absolute and start with '/'.")
    inner = str(PurePosixPath("/" + path.strip("/")))
    if inner == "/Workspace" or inner.startswith("/Workspace/"):
        inner = inner.removeprefix("/Workspace") or "/"
    return inner


def _classify(path: str, content: bytes, format_: str, language: str | None) -> tuple[str, str, str | None]:
    suffix = PurePosixPath(path).suffix.lower()
    if language and language not in _MARKS:
        raise invalid(f"Language '{language}' is none of {', '.join(_MARKS)}.")
    if format_ == "RAW":
        return path, "FILE", None
    if format_ == "AUTO":
        found = LANGUAGES.get(suffix)
        mark = f"{_MARKS[found]} Databricks notebook source" if found else None
        if mark and content.startswith(mark.encode()):
            # A notebook has no suffix in the workspace (databricks/cli, AUTO imports).
            return path[: -len(suffix)], "NOTEBOOK", found
        return path, "FILE", None
    if format_ != "SOURCE":
        raise unsupported(f"Import format {format_}")
    if not language:
        raise invalid("The language must be given for format SOURCE.")
    return path, "NOTEBOOK", language
