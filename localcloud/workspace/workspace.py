"""One Databricks workspace: its models, one for each group of the API, and what ties them together."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from localcloud.arm import Container, WorkspaceInfo
from localcloud.settings import Settings
from localcloud.store import Store
from localcloud.workspace.catalog import Azure, Catalog
from localcloud.workspace.clusters import Clusters, in_background
from localcloud.workspace.drivers import DriverFactory, Drivers, Spawn
from localcloud.workspace.execution import Surroundings
from localcloud.workspace.file_access import FileAccess, list_of
from localcloud.workspace.files import Files
from localcloud.workspace.jobs import Jobs
from localcloud.workspace.libraries import Libraries
from localcloud.workspace.mounts import mounts
from localcloud.workspace.people import DEVELOPER, Caller, People
from localcloud.workspace.permissions import Permissions
from localcloud.workspace.policies import Policies
from localcloud.workspace.records import ClusterRecords
from localcloud.workspace.runs import Runs
from localcloud.workspace.scheduler import Scheduler
from localcloud.workspace.secrets import Secrets
from localcloud.workspace.shelf import Record


class AzureViews(Azure, Protocol):
    """What workspaces need of `localcloud.arm.Arm`."""

    def workspaces(self) -> list[WorkspaceInfo]:
        """All workspaces."""

    def containers(self) -> list[Container]:
        """All blob containers."""


@dataclass(frozen=True)
class Parts:
    """What all workspaces of this machine share.

    notices: what is wrong with the cloud itself, in sentences; make_driver: a driver for a cluster; clock: epoch
    seconds; spawn: runs slow work beside a request.
    """

    store: Store
    settings: Settings
    azure: AzureViews
    notices: Callable[[], Iterable[str]]
    make_driver: DriverFactory
    clock: Callable[[], float]
    spawn: Spawn = in_background


class Workspace:
    """One workspace, from its creation in Azure to its deletion. Models know no HTTP; `rest` serves them."""

    def __init__(self, info: WorkspaceInfo, parts: Parts) -> None:
        self.info = info
        self.url = info.url
        self.workspace_id = info.workspace_id
        self._parts = parts
        store, key, clock = parts.store, info.workspace_id, parts.clock
        self._folder = parts.settings.state / "workspaces" / key
        self.people = People(store, key)
        self.permissions = Permissions(store, key, self.people)
        self.secrets = Secrets(store, key, self.people, clock)
        self.files = Files(store, key, self._folder / "files", clock)
        self.file_access = FileAccess(self.files, self.permissions)
        self.catalog = Catalog(store, self._region(), parts.azure, clock)
        self.policies = Policies(store, key, self.permissions)
        records = ClusterRecords(store, key, clock)
        self.drivers = Drivers(
            parts.settings,
            records=records,
            secrets=self.secrets,
            people=self.people,
            mounts=self._mounts,
            make=parts.make_driver,
        )
        self.libraries = Libraries(
            store, key, records=records, files=self.files, drivers=self.drivers, permissions=self.permissions
        )
        self.clusters = Clusters(
            store,
            records=records,
            drivers=self.drivers,
            policies=self.policies,
            permissions=self.permissions,
            libraries=self.libraries,
            people=self.people,
            azure_tags=self._azure_tags,
            spawn=parts.spawn,
        )
        self.jobs = Jobs(
            store, key, people=self.people, permissions=self.permissions, has_cluster=records.has, clock=clock
        )
        around = Surroundings(
            drivers=self.drivers,
            libraries=self.libraries,
            clusters=records,
            files=self.files,
            file_access=self.file_access,
            people=self.people,
            permissions=self.permissions,
            logs=self._folder / "logs",
            notices=lambda: list(parts.notices()),
            next_run_id=lambda: 500_000_000_000 + store.next_id("databricks/run"),
            clock=clock,
        )
        self.runs = Runs(store, key, info.url, self.jobs, around)
        self.scheduler = Scheduler(self.jobs, self.runs, self.drivers, clock)
        self._give_directory("/Shared", {"group_name": "users"})
        for user in self.people.users():
            self.make_home(user["userName"])
        # What the process before left behind: no driver and no run of it lives any more.
        self.drivers.recover()
        self.runs.recover()

    @property
    def developer(self) -> Caller:
        """The person of this machine, an administrator."""
        return Caller(DEVELOPER, admin=True)

    def make_home(self, user_name: str) -> None:
        """Make the user's home directory."""
        self._give_directory(f"/Users/{user_name}", {"user_name": user_name})

    def delete_job(self, job_id: int, caller: Caller) -> None:
        """Remove a job and cancel its active runs."""
        self.jobs.delete(job_id, caller)
        self.runs.cancel_all(job_id, self.developer)

    def delete_path(self, path: str, recursive: bool, caller: Caller) -> None:
        """Remove a directory, notebook or file, and forget who might use it."""
        self.file_access.require(path, caller, "CAN_MANAGE")
        found = self.files.status(path)
        self.files.delete(path, recursive)
        self.permissions.deleted(*list_of(found))

    def close(self) -> None:
        """Stop what runs; everything stays stored."""
        self.runs.close()
        self.drivers.close()

    def _give_directory(self, path: str, principal: dict[str, str]) -> None:
        """Make a directory and give it to somebody, unless it belongs to somebody already."""
        kind, object_id = list_of(self.files.mkdirs(path))
        if not self.permissions.entries(kind, object_id):
            entry = {**principal, "permission_level": "CAN_MANAGE"}
            self.permissions.put(kind, object_id, [entry], self.developer)

    def _region(self) -> str:
        return str(self._in_azure().get("location", "unknown"))

    def _azure_tags(self) -> dict[str, str]:
        return dict(self._in_azure().get("tags") or {})

    def _in_azure(self) -> Record:
        return self._parts.azure.get(self.info.resource_id) or {}

    def _mounts(self, cluster: Record, conf: dict[str, str]) -> dict[str, Path]:
        def usable(user_name: str) -> set[tuple[str, str]]:
            return self.catalog.usable_containers(user_name, self.workspace_id)

        return mounts(cluster, conf, self._parts.settings, self._parts.azure.containers, usable)
