"""Wheels on clusters: attached by a task or through the libraries API, installed again at each start of the cluster."""

import re
import zipfile
from pathlib import Path, PurePosixPath

from localcloud.errors import CloudError
from localcloud.store import Store
from localcloud.workspace.drivers import Drivers
from localcloud.workspace.errors import denied, invalid, unsupported
from localcloud.workspace.files import Files
from localcloud.workspace.people import Caller
from localcloud.workspace.permissions import Permissions
from localcloud.workspace.records import ClusterRecords
from localcloud.workspace.run_states import End, failed
from localcloud.workspace.shelf import Record, Shelf


class LibraryError(Exception):
    """A wheel that can't be installed or found; `end` is how the task ends."""

    def __init__(self, end: End) -> None:
        super().__init__(end.message)
        self.end = end


class Libraries:
    """The wheels of one workspace's clusters.

    A task's wheels stay attached to its cluster (dbx#834). On a running cluster, a new path is installed beside the
    others and its code is the one that is imported. A restart installs all of them again, in the order in which they
    were attached, and the first one keeps its place: the old code hides the new (terraform-provider-databricks#5771,
    which calls the second one a duplicate).
    """

    def __init__(
        self,
        store: Store,
        workspace_id: str,
        *,
        records: ClusterRecords,
        files: Files,
        drivers: Drivers,
        permissions: Permissions,
    ) -> None:
        self._store = store
        self._records = records
        self._files = files
        self._drivers = drivers
        self._permissions = permissions
        # By cluster id: `{"wheels": [{"whl", "status", "messages"}]}`, in the order of their attachment.
        self._attached = Shelf(store, "cluster-libraries", workspace_id)
        drivers.on_start = self._restore

    def statuses(self, cluster_id: str) -> list[Record]:
        """The state of each library of a cluster; those that the next start removes come last."""
        self._records.get(cluster_id)
        running = self._drivers.running(cluster_id) is not None
        wheels = sorted(self._wheels(cluster_id), key=lambda wheel: wheel["status"] == "UNINSTALL_ON_RESTART")
        return [
            {
                "library": {"whl": wheel["whl"]},
                "status": "PENDING" if wheel["status"] == "INSTALLED" and not running else wheel["status"],
                "is_library_for_all_clusters": False,
                "messages": wheel["messages"],
            }
            for wheel in wheels
        ]

    def all_statuses(self) -> list[Record]:
        """The same of every cluster that has libraries."""
        found = [(record["cluster_id"], self.statuses(record["cluster_id"])) for record in self._records.values()]
        return [{"cluster_id": cluster_id, "library_statuses": statuses} for cluster_id, statuses in found if statuses]

    def add(self, cluster_id: str, libraries: list[Record], caller: Caller) -> None:
        """Attach wheels: to a running cluster now, else at its next start. A failure is in their status alone."""
        self._authorize(cluster_id, caller)
        for path in _paths(libraries):
            with self._drivers.installed(cluster_id) as installed:
                if self._drivers.running(cluster_id) is None:
                    self._attach(cluster_id, path, "PENDING")
                    continue
                try:
                    self._install(cluster_id, path, installed)
                except LibraryError:
                    continue

    def remove(self, cluster_id: str, libraries: list[Record], caller: Caller) -> None:
        """Detach wheels at the cluster's next start; those that are not attached are ignored."""
        self._authorize(cluster_id, caller)
        paths = _paths(libraries)
        with self._store.transaction():
            for wheel in self._wheels(cluster_id):
                if wheel["whl"] in paths:
                    self._attach(cluster_id, wheel["whl"], "UNINSTALL_ON_RESTART")

    def install(self, cluster_id: str, paths: list[str]) -> list[Path]:
        """The running cluster's copies of all its wheels, these ones included; what is imported first comes first."""
        with self._drivers.installed(cluster_id) as installed:
            for path in paths:
                self._install(cluster_id, path, installed)
            return list(installed.values())

    def forget(self, cluster_id: str) -> None:
        """Forget what was attached to a deleted cluster."""
        self._attached.delete(cluster_id)

    def _restore(self, cluster_id: str) -> None:
        """At the start of a cluster: drop what was to be uninstalled, and install the others again."""
        with self._drivers.installed(cluster_id) as installed:
            for wheel in self._wheels(cluster_id):
                if wheel["status"] == "UNINSTALL_ON_RESTART":
                    self._detach(cluster_id, wheel["whl"])
                    continue
                try:
                    installed[wheel["whl"]] = self._copy(cluster_id, wheel["whl"])
                except LibraryError:
                    continue

    def _install(self, cluster_id: str, path: str, installed: dict[str, Path]) -> None:
        if path in installed:
            self._attach(cluster_id, path, "INSTALLED")
            return
        copy = self._copy(cluster_id, path)
        others = dict(installed)
        installed.clear()
        installed.update({path: copy, **others})

    def _copy(self, cluster_id: str, path: str) -> Path:
        """The driver's own copy of a wheel, noted as attached whether that works or not."""
        try:
            copy = self._checked_copy(path, self._drivers.library_folder(cluster_id))
        except LibraryError as problem:
            self._attach(cluster_id, path, "FAILED", str(problem))
            raise
        self._attach(cluster_id, path, "INSTALLED")
        return copy

    def _checked_copy(self, path: str, place: Path) -> Path:
        try:
            content = self._files.read(path)
        except CloudError as refusal:
            raise _failed(f"{path}: {refusal.message}") from None
        target = place / PurePosixPath(path).name
        target.write_bytes(content)
        if not zipfile.is_zipfile(target) or not re.fullmatch(r"[^-]+-[^-]+(-[^-]+){3,4}\.whl", target.name):
            raise _failed(f"{path} is not a valid wheel: its name or its content is not that of a wheel.")
        return target

    def _wheels(self, cluster_id: str) -> list[Record]:
        return list((self._attached.get(cluster_id) or {"wheels": []})["wheels"])

    def _attach(self, cluster_id: str, path: str, status: str, *messages: str) -> None:
        wheel = {"whl": path, "status": status, "messages": list(messages)}
        with self._store.transaction():
            before = self._wheels(cluster_id)
            if wheel in before:
                return
            after = [wheel if old["whl"] == path else old for old in before]
            self._attached.put(cluster_id, {"wheels": after if wheel in after else [*after, wheel]})

    def _detach(self, cluster_id: str, path: str) -> None:
        with self._store.transaction():
            left = [wheel for wheel in self._wheels(cluster_id) if wheel["whl"] != path]
            self._attached.put(cluster_id, {"wheels": left})

    def _authorize(self, cluster_id: str, caller: Caller) -> None:
        self._records.get(cluster_id)
        if not self._permissions.holds("clusters", cluster_id, caller, "CAN_MANAGE"):
            raise denied(
                f"{caller.user_name} does not have 'Manage' permissions on cluster {cluster_id}: 'Manage' permissions"
                " are required to install libraries on a cluster"
            )


def require(package: str, wheels: list[Path]) -> None:
    """Refuse a package that none of the wheels holds."""
    names = {re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower() for wheel in wheels}
    if re.sub(r"[-_.]+", "-", package).lower() not in names:
        raise LibraryError(
            failed(
                f"Python wheel with name {package} could not be found. Please check the driver logs for more details",
                "INVALID_RUN_CONFIGURATION",
            )
        )


def _paths(libraries: list[Record]) -> list[str]:
    """The workspace paths of wheels; other kinds of libraries are refused."""
    for library in libraries:
        for kind in library if isinstance(library, dict) else ():
            if kind != "whl":
                raise unsupported(f"Library type '{kind}'")
        if not isinstance(library, dict) or not isinstance(library.get("whl"), str):
            raise invalid("Each library must be an object with 'whl', the path of a wheel.")
    return [library["whl"] for library in libraries]


def _failed(reason: str) -> LibraryError:
    message = f"Library installation failed for library due to user error. Error messages: {reason}"
    return LibraryError(failed(message, "LIBRARY_INSTALLATION_ERROR"))
