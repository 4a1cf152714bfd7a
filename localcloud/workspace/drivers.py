"""The Spark drivers behind running clusters: start, stop, idle time, and drivers that die."""

import os
import secrets as random
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from localcloud.cluster import ClusterSpec, DriverError, TaskResult, TaskSpec
from localcloud.cluster.spark_ui import SparkUi
from localcloud.settings import Settings
from localcloud.threads import all_at_once
from localcloud.workspace.mounts import StartError, for_spark, resolve
from localcloud.workspace.node_types import NODE_TYPES
from localcloud.workspace.people import Caller, People
from localcloud.workspace.records import ClusterRecords
from localcloud.workspace.secrets import Secrets
from localcloud.workspace.shelf import Record


class TaskHandle(Protocol):
    """A task that runs in a driver."""

    def wait(self, timeout: float | None = None) -> TaskResult | None:
        """The result, or None if it still runs after `timeout` seconds."""

    def cancel(self) -> None:
        """Ask the task to stop."""


class Driver(Protocol):
    """What a running cluster needs of a driver (`localcloud.cluster.Driver`)."""

    @property
    def alive(self) -> bool:
        """Whether Spark runs."""

    @property
    def ui(self) -> SparkUi | None:
        """Spark's web page."""

    def start(self) -> None:
        """Start Spark; raises DriverError."""

    def run(self, task: TaskSpec) -> TaskHandle:
        """Begin a task."""

    def stop(self) -> None:
        """End Spark and every task in it; a start that is under way then raises DriverError."""


DriverFactory = Callable[[Settings, ClusterSpec], Driver]
Mounts = Callable[[Record, dict[str, str]], dict[str, Path]]
Spawn = Callable[[Callable[[], None]], None]


@dataclass
class _Slot:
    lock: threading.RLock = field(default_factory=threading.RLock)
    driver: Driver | None = None
    # A driver while it starts, for who must stop it without the lock that the start holds.
    starting: Driver | None = None
    token: str = ""
    tasks: int = 0
    idle_since: float = 0.0
    mounts: dict[str, Path] = field(default_factory=dict)
    # Copies of the wheels that this driver has installed, by workspace path; the first on Python's path comes first.
    libraries: dict[str, Path] = field(default_factory=dict)
    # How often the cluster was to be stopped: a start that was asked for before must not come up after.
    stops: int = 0
    # Stops and restarts that were accepted and are not done yet.
    changing: int = 0


class _CanceledError(StartError):
    """A start that a stop overtook; the stop says how the cluster ended."""

    def __init__(self) -> None:
        super().__init__("USER_REQUEST", "The cluster was terminated while it started.")


class Drivers:
    """The drivers of one workspace's clusters.

    host: where code on a cluster reaches the workspace; set once its address is known
    on_start: called with the id of a cluster whose driver is up, before any task gets to it
    """

    host = ""
    on_start: Callable[[str], None] = staticmethod(lambda _: None)

    def __init__(
        self,
        settings: Settings,
        *,
        records: ClusterRecords,
        secrets: Secrets,
        people: People,
        mounts: Mounts,
        make: DriverFactory,
    ) -> None:
        self._settings = settings
        self._records = records
        self._secrets = secrets
        self._people = people
        self._mounts = mounts
        self._make = make
        self._guard = threading.Lock()
        self._changed = threading.Condition(self._guard)
        self._slots: dict[str, _Slot] = {}
        self._closed = False

    def caller(self, token: str) -> Caller | None:
        """Whose token a running cluster's code sends: the dedicated user, else the cluster's creator."""
        with self._guard:
            slots = list(self._slots.items())
        for cluster_id, slot in slots:
            if (
                slot.token
                and random.compare_digest(slot.token.encode(), token.encode())
                and self._records.has(cluster_id)
            ):
                return self._user(self._records.get(cluster_id))
        return None

    def start(self, cluster_id: str) -> Driver:
        """The cluster's driver; starts it if it doesn't run. Blocks; raises StartError. Call it inside `in_use`."""
        slot = self._slot(cluster_id)
        with self._changed:
            # As on Databricks: a cluster that terminates or restarts does so first.
            self._changed.wait_for(lambda: slot.changing == 0)
        with slot.lock:
            return self._start(cluster_id, slot)

    def stops(self, cluster_id: str) -> int:
        """How often the cluster was to be stopped so far, for `start_soon` and `restart_soon`."""
        return self._slot(cluster_id).stops

    def start_soon(self, cluster_id: str, asked: int, spawn: Spawn) -> None:
        """Begin to start the driver; what goes wrong is in the cluster's state alone.

        asked: `stops` when the start was asked for; a stop since then prevails
        """
        slot = self._slot(cluster_id)

        def work() -> None:
            with slot.lock, suppress(StartError):
                if slot.stops == asked:
                    self._start(cluster_id, slot)

        spawn(work)

    def stop_soon(self, cluster_id: str, code: str, message: str, spawn: Spawn) -> None:
        """As `stop`, through `spawn`; a start that is under way, or still to come, is canceled at once."""
        slot = self._slot(cluster_id)
        with self._guard:
            slot.stops += 1
        self._change(slot, lambda: self.stop(cluster_id, code, message), spawn)

    def restart_soon(self, cluster_id: str, asked: int, spawn: Spawn) -> None:
        """Stop the driver and start another one, through `spawn`; asked: as for `start_soon`."""
        slot = self._slot(cluster_id)

        def work() -> None:
            with slot.lock, suppress(StartError):
                if slot.stops != asked:
                    return
                slot.token, slot.libraries = "", {}
                if slot.driver is not None:
                    slot.driver.stop()
                    slot.driver = None
                self._start(cluster_id, slot)

        self._change(slot, work, spawn)

    def stop(self, cluster_id: str, code: str, message: str) -> None:
        """Stop the driver, if there is one. code: Databricks' termination code, for example INACTIVITY."""
        slot = self._slot(cluster_id)
        with self._guard:
            slot.stops += 1
            starting = slot.starting
        if starting is not None:
            starting.stop()
        with slot.lock:
            slot.token, slot.libraries = "", {}
            if slot.driver is not None:
                try:
                    self._records.update(cluster_id, state="TERMINATING", state_message=message)
                finally:
                    slot.driver.stop()
            if self._records.has(cluster_id) and self._records.get(cluster_id)["state"] != "TERMINATED":
                self._terminated(cluster_id, code, "SUCCESS", message)
            # Last: where the record can't be written, `check` finds a dead driver, and tries again.
            slot.driver = None

    def running(self, cluster_id: str) -> Driver | None:
        """The cluster's driver if it runs now."""
        driver = self._slot(cluster_id).driver
        return driver if driver is not None and driver.alive else None

    def ui(self, cluster_id: str) -> SparkUi | None:
        """The Spark UI of a running cluster."""
        driver = self.running(cluster_id)
        return driver.ui if driver else None

    @contextmanager
    def in_use(self, cluster_id: str) -> Iterator[None]:
        """While this lasts, the cluster is not idle."""
        slot = self._slot(cluster_id)
        with self._guard:
            slot.tasks += 1
        try:
            yield
        finally:
            with self._guard:
                slot.tasks -= 1
                slot.idle_since = self._records.now() / 1000

    @contextmanager
    def installed(self, cluster_id: str) -> Iterator[dict[str, Path]]:
        """The driver's copies of wheels, by workspace path, the first on Python's path first; the block may add some.

        A running cluster keeps the copy that it made first, as Databricks does.
        """
        slot = self._slot(cluster_id)
        with slot.lock:
            yield slot.libraries

    def library_folder(self, cluster_id: str) -> Path:
        """A new folder for a wheel: another driver of this cluster may meet another content at the same path."""
        place = self._work_dir(cluster_id) / "libraries" / random.token_hex(8)
        place.mkdir(parents=True)
        return place

    def forget(self, cluster_id: str) -> None:
        """Remove what a deleted cluster left on disk."""
        shutil.rmtree(self._work_dir(cluster_id), ignore_errors=True)

    def check(self) -> None:
        """Stop idle clusters, and notice drivers that died. Called about every second."""
        now = self._records.now() / 1000
        with self._guard:
            slots = list(self._slots.items())
        for cluster_id, slot in slots:
            if slot.driver is None or not slot.lock.acquire(blocking=False):
                continue
            try:
                if slot.driver is not None and not slot.driver.alive:
                    self._lost(cluster_id, slot)
                elif slot.driver is not None and slot.tasks == 0 and self._records.has(cluster_id):
                    minutes = self._records.get(cluster_id).get("autotermination_minutes") or 0
                    if minutes and now - slot.idle_since >= minutes * 60:
                        message = f"Inactive cluster terminated (inactive for {minutes} minutes)."
                        self.stop(cluster_id, "INACTIVITY", message)
            finally:
                slot.lock.release()

    def recover(self) -> None:
        """After a restart of the local cloud no driver runs any more."""
        for record in self._records.values():
            if record["state"] != "TERMINATED":
                self._terminated(
                    record["cluster_id"],
                    "INTERNAL_ERROR",
                    "CLOUD_FAILURE",
                    "The local cloud ended while the cluster ran.",
                )

    def close(self) -> None:
        """Stop every driver."""
        with self._guard:
            self._closed = True
            names = list(self._slots)

        def stop(cluster_id: str) -> None:
            self.stop(cluster_id, "INTERNAL_ERROR", "The local cloud was stopped.")

        all_at_once(stop, names)

    def _change(self, slot: _Slot, work: Callable[[], None], spawn: Spawn) -> None:
        with self._changed:
            slot.changing += 1

        def change() -> None:
            try:
                work()
            finally:
                with self._changed:
                    slot.changing -= 1
                    self._changed.notify_all()

        spawn(change)

    def _start(self, cluster_id: str, slot: _Slot) -> Driver:
        if slot.driver is not None and not slot.driver.alive:
            self._lost(cluster_id, slot)
        if slot.driver is not None and slot.tasks <= 1 and self._mounts_of(cluster_id, slot) != slot.mounts:
            # Containers and grants take effect at once on Azure; Spark's mount table is read once, at its start.
            self.stop(cluster_id, "USER_REQUEST", "Storage access changed.")
        if slot.driver is not None:
            return slot.driver
        seen = slot.stops
        if self._records.get(cluster_id)["state"] != "RESTARTING":
            self._records.update(cluster_id, state="PENDING", state_message="Starting Spark")
        self._records.update(cluster_id, termination_reason=None, terminated_time=None)
        self._records.event(cluster_id, "STARTING")
        try:
            driver = self._launch(cluster_id, slot, seen)
        except StartError as problem:
            slot.token = ""
            if not isinstance(problem, _CanceledError):
                self._terminated(cluster_id, problem.code, "CLIENT_ERROR", str(problem))
            raise
        slot.driver = driver
        slot.idle_since = self._records.now() / 1000
        self.on_start(cluster_id)
        self._records.update(
            cluster_id,
            state="RUNNING",
            state_message="",
            start_time=self._records.now(),
            spark_context_id=self._records.now(),
        )
        self._records.event(cluster_id, "RUNNING")
        return driver

    def _launch(self, cluster_id: str, slot: _Slot, seen: int) -> Driver:
        record = self._records.get(cluster_id)
        conf, env = self._resolved(record, "spark_conf"), self._resolved(record, "spark_env_vars")
        slot.token, slot.libraries, slot.mounts = f"dapi{random.token_hex(16)}", {}, self._mounts(record, conf)
        spec = ClusterSpec(
            cluster_id=cluster_id,
            cores=min(NODE_TYPES[record["node_type_id"]].cores, os.cpu_count() or 1),
            spark_conf=for_spark(conf),
            env=env,
            mounts=slot.mounts,
            work_dir=self._work_dir(cluster_id),
            host=self.host,
            token=slot.token,
        )
        # What the driver before left: its copies of wheels, and its shuffle files if it was killed.
        for name in ("libraries", "local"):
            shutil.rmtree(spec.work_dir / name, ignore_errors=True)
        driver = self._make(self._settings, spec)
        with self._guard:
            if self._closed:
                raise StartError("INTERNAL_ERROR", "The local cloud was stopped.")
            if slot.stops != seen:
                raise _CanceledError
            slot.starting = driver
        try:
            driver.start()
            if slot.stops == seen:
                return driver
        except (DriverError, OSError) as problem:
            if slot.stops == seen:
                driver.stop()
                raise StartError("DRIVER_UNREACHABLE", f"Spark failed to start: {problem}") from problem
        finally:
            slot.starting = None
        driver.stop()
        raise _CanceledError

    def _mounts_of(self, cluster_id: str, slot: _Slot) -> dict[str, Path]:
        """What the cluster would mount if it started now; what it has where a secret in its conf is gone since."""
        record = self._records.get(cluster_id)
        try:
            conf = self._resolved(record, "spark_conf")
        except StartError:
            return slot.mounts
        return self._mounts(record, conf)

    def _resolved(self, record: Record, name: str) -> dict[str, str]:
        owner = record["creator_user_name"]
        return resolve(record.get(name) or {}, self._secrets, Caller(owner, self._people.is_admin(owner)))

    def _lost(self, cluster_id: str, slot: _Slot) -> None:
        slot.token = ""
        if slot.driver is not None:
            slot.driver.stop()
        self._records.event(cluster_id, "DRIVER_UNAVAILABLE")
        self._terminated(cluster_id, "DRIVER_UNREACHABLE", "CLOUD_FAILURE", "The Spark driver stopped unexpectedly.")
        slot.driver = None

    def _terminated(self, cluster_id: str, code: str, type_: str, message: str) -> None:
        reason = {"code": code, "type": type_, "parameters": {"databricks_error_message": message}}
        self._records.update(
            cluster_id,
            state="TERMINATED",
            state_message=message,
            termination_reason=reason,
            terminated_time=self._records.now(),
        )
        self._records.event(cluster_id, "TERMINATING", reason=reason)

    def _user(self, record: Record) -> Caller:
        name = record.get("single_user_name") or record["creator_user_name"]
        return Caller(name, self._people.is_admin(name))

    def _slot(self, cluster_id: str) -> _Slot:
        with self._guard:
            return self._slots.setdefault(cluster_id, _Slot())

    def _work_dir(self, cluster_id: str) -> Path:
        return self._settings.state / "clusters" / cluster_id
