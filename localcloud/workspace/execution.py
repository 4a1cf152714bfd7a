"""One run while it is active: its tasks in the order of their dependencies, each in a thread, on their clusters."""

import copy
import itertools
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from localcloud.cluster import DriverError, TaskResult, TaskSpec
from localcloud.errors import CloudError
from localcloud.workspace import cluster_spec, libraries, references, run_states
from localcloud.workspace.drivers import Driver, Drivers, TaskHandle
from localcloud.workspace.file_access import FileAccess
from localcloud.workspace.files import Files
from localcloud.workspace.mounts import StartError
from localcloud.workspace.people import Caller, People
from localcloud.workspace.permissions import Permissions
from localcloud.workspace.records import ClusterRecords
from localcloud.workspace.run_states import End, failed
from localcloud.workspace.shelf import Record

_log = logging.getLogger(__name__)

# How often a running task is looked at for a cancel request or a timeout, in seconds.
_LOOK = 0.5
_ON_FAILURE_RETRIES = 3


@dataclass(frozen=True)
class Surroundings:
    """What a run needs of its workspace.

    logs: folder of the tasks' output; notices: what is wrong with the cloud itself, added to a failed task's message;
    next_run_id: for attempts; clock: epoch seconds.
    """

    drivers: Drivers
    libraries: libraries.Libraries
    clusters: ClusterRecords
    files: Files
    file_access: FileAccess
    people: People
    permissions: Permissions
    logs: Path
    notices: Callable[[], list[str]]
    next_run_id: Callable[[], int]
    clock: Callable[[], float]

    def now(self) -> int:
        """Epoch milliseconds."""
        return int(self.clock() * 1000)


class Execution:
    """Runs the tasks of one run. save: called with the run after each change; ended: called once, after the last."""

    def __init__(
        self, run: Record, around: Surroundings, save: Callable[[Record], None], ended: Callable[[Record], None]
    ) -> None:
        self.run = run
        self._around = around
        self._save = save
        self._ended = ended
        self._changed = threading.Condition()
        self._cancelled = False
        self._abandoned = False
        self._deadline = run["_timeout"] and time.monotonic() + run["_timeout"]
        self._timed_out = False
        self._tasks = {task["task_key"]: task for task in run["tasks"]}

    def start(self) -> None:
        """Begin, in a thread of its own."""
        threading.Thread(target=self._main, name=f"run-{self.run['run_id']}", daemon=True).start()

    def record(self) -> Record:
        """The run as it is now, saved or not."""
        with self._changed:
            return copy.deepcopy(self.run)

    def cancel(self) -> None:
        """Ask every task to stop; returns at once."""
        with self._changed:
            self._cancelled = True
            if not run_states.is_final(self.run):
                run_states.moving(self.run, "TERMINATING", "Cancelling the run.")
                self._keep()
            self._changed.notify_all()

    def abandon(self) -> None:
        """Write nothing any more: the local cloud ends, and its next start says what became of the run."""
        with self._changed:
            self._abandoned = True
            self._cancelled = True
            self._changed.notify_all()

    def _main(self) -> None:
        with self._changed:
            if not self._cancelled:
                run_states.moving(self.run, "RUNNING", "In run")
                self._keep()
            while self._start_ready():
                self._changed.wait(timeout=_LOOK if self._deadline else None)
                if self._deadline and time.monotonic() > self._deadline and not self._cancelled:
                    self._timed_out = self._cancelled = True
                    self._changed.notify_all()
            if self._abandoned:
                return
            end = run_states.of_run(self.run["tasks"])
            if self._timed_out:
                end = run_states.timed_out(self.run["_timeout"])
            elif self._cancelled and end.result != "SUCCESS":
                end = run_states.CANCELED
            run_states.ended(self.run, end, self._around.now())
            # Nobody would write it later: on a full disk, wait for room, telling the end meanwhile.
            while not self._keep():
                self._changed.wait(timeout=_LOOK)
        self._ended(self.run)

    def _start_ready(self) -> bool:
        """Start, or end without a start, each task whose upstream tasks have ended; False once all have ended."""
        again = True
        while again:
            again = False
            for task in self._tasks.values():
                above = [item["task_key"] for item in task.get("depends_on", []) if item["task_key"] in self._tasks]
                waiting = task["state"]["life_cycle_state"] == "BLOCKED"
                if not waiting or not all(run_states.is_final(self._tasks[key]) for key in above):
                    continue
                end = run_states.CANCELED if self._cancelled else run_states.dependency(task, self._tasks)
                if end:
                    run_states.ended(task, end, self._around.now())
                    again = True
                else:
                    run_states.moving(task, "PENDING", "Waiting for cluster")
                    threading.Thread(target=self._task, args=(task,), daemon=True).start()
                self._keep()
        return not all(run_states.is_final(task) for task in self._tasks.values())

    def _task(self, task: Record) -> None:
        for attempt in itertools.count():
            try:
                end = self._attempt(task, attempt)
            except Exception as problem:  # a task must end, whatever happens to its thread
                end = failed(f"Internal error: {problem!r}", "INTERNAL_ERROR", "INTERNAL_ERROR")
            with self._changed:
                retry = self._retries(task, end)
                if not retry:
                    task["_error"], task["_trace"] = end.error, end.trace
                    run_states.ended(task, end, self._around.now())
                    self._keep()
                    self._changed.notify_all()
                    return
                run_states.moving(task, "WAITING_FOR_RETRY", end.message)
                self._keep()
                self._changed.wait_for(lambda: self._cancelled, timeout=retry)

    def _retries(self, task: Record, end: End) -> float:
        """Seconds until the next attempt; 0: there is none."""
        if self._cancelled or end.result not in ("FAILED", "TIMEDOUT"):
            return 0
        if end.result == "TIMEDOUT" and not task.get("retry_on_timeout"):
            return 0
        if self.run["_retry_on_failure"]:
            # Continuous jobs, task_retry_mode ON_FAILURE: growing back-off, then the whole run starts anew.
            return float(2 ** (task["attempt_number"] + 1)) if task["attempt_number"] < _ON_FAILURE_RETRIES else 0
        limit = task.get("max_retries", 0)
        if limit != -1 and task["attempt_number"] >= limit:
            return 0
        pause: int = task.get("min_retry_interval_millis", 0)
        return max(0.001, pause / 1000)

    def _attempt(self, task: Record, attempt: int) -> End:
        cluster_id = task["existing_cluster_id"]
        around = self._around
        with self._changed:
            task["attempt_number"] = attempt
            if attempt:
                task["run_id"] = around.next_run_id()
            task["start_time"] = around.now()
            task.pop("_running_since", None)
            task["cluster_instance"] = {"cluster_id": cluster_id}
            task["resolved_values"] = references.resolved_task(self.run, task)
            run_states.moving(task, "PENDING", "Waiting for cluster")
            self._keep()
        if refusal := self._access(task):
            return refusal
        with around.drivers.in_use(cluster_id):
            try:
                driver = around.drivers.start(cluster_id)
                spec = self._spec(task)
            except StartError as problem:
                text = f"Run failed with error message: Cluster {cluster_id} could not start: {problem}"
                return failed(text, "CLUSTER_ERROR")
            except libraries.LibraryError as problem:
                return problem.end
            except CloudError as problem:
                return failed(problem.message, "UNAUTHORIZED_ERROR" if problem.status == 403 else "RESOURCE_NOT_FOUND")
            with self._changed:
                if self._cancelled:
                    return run_states.CANCELED
                task["_running_since"] = around.now()
                context = around.clusters.get(cluster_id).get("spark_context_id")
                task["cluster_instance"]["spark_context_id"] = str(context)
                run_states.moving(task, "RUNNING", "In run")
                self._keep()
            return self._execute(task, driver, spec)

    def _execute(self, task: Record, driver: Driver, spec: TaskSpec) -> End:
        timeout = task.get("timeout_seconds") or 0
        try:
            result, late = self._follow(driver.run(spec), driver, timeout)
        except DriverError as problem:
            result, late = TaskResult("FAILED", str(problem), ""), False
        if result.outcome == "SUCCESS":
            return run_states.SUCCESS
        if late:
            return run_states.timed_out(timeout)
        if self._cancelled:
            return run_states.CANCELED
        cluster_id = task["existing_cluster_id"]
        if self._around.drivers.running(cluster_id) is not driver:
            reason = (
                self._around.clusters.get(cluster_id)["state_message"] if self._has_cluster(cluster_id) else "Deleted"
            )
            text = f"Cluster {cluster_id} was terminated during the run (cluster state message: {reason})"
            # The service says CLUSTER_TERMINATED_BY_USER, which the SDK does not know and would leave out.
            return failed(text, "CLUSTER_ERROR")
        if result.outcome == "CANCELED":
            return run_states.CANCELED
        notices = [f" ({notice})" for notice in self._around.notices()]
        return failed(result.error + "".join(notices), trace=result.trace)

    def _follow(self, handle: TaskHandle, driver: Driver, timeout: int) -> tuple[TaskResult, bool]:
        deadline = time.monotonic() + timeout if timeout else None
        asked = late = False
        while True:
            result = handle.wait(_LOOK)
            if result is not None:
                return result, late
            if not driver.alive:
                return handle.wait(_LOOK) or TaskResult("FAILED", "The Spark driver stopped unexpectedly.", ""), late
            late = late or (deadline is not None and time.monotonic() > deadline and not self._cancelled)
            if (late or self._cancelled) and not asked:
                handle.cancel()
                asked = True

    def _access(self, task: Record) -> End | None:
        """Refuse a run whose identity may not use the cluster."""
        cluster_id = task["existing_cluster_id"]
        if not self._has_cluster(cluster_id):
            return failed(f"Cluster {cluster_id} does not exist", "RESOURCE_NOT_FOUND")
        cluster = self._around.clusters.get(cluster_id)
        caller = self._identity()
        user = caller.user_name
        single = cluster.get("single_user_name")
        if cluster_spec.access_mode(cluster) == "SINGLE_USER" and single not in (user, "users"):
            return failed(
                f"Single-user check failed: user '{user}' attempted to run a command on single-user cluster"
                f" {cluster_id}, but the single user of this cluster is '{single}'",
                "UNAUTHORIZED_ERROR",
            )
        holds = self._around.permissions.holds
        if task.get("libraries") and not holds("clusters", cluster_id, caller, "CAN_MANAGE"):
            return failed(
                f"{user} does not have 'Manage' permissions on cluster {cluster_id}: 'Manage' permissions are required"
                " to install libraries on a cluster",
                "UNAUTHORIZED_ERROR",
            )
        if not holds("clusters", cluster_id, caller, "CAN_RESTART"):
            return failed(
                f"{user} does not have CAN_RESTART permissions on cluster {cluster_id}.", "UNAUTHORIZED_ERROR"
            )
        return None

    def _identity(self) -> Caller:
        user: str = self.run["_run_as"]
        return Caller(user, self._around.people.is_admin(user))

    def _spec(self, task: Record) -> TaskSpec:
        around = self._around
        paths = [library["whl"] for library in task.get("libraries") or []]
        for path in [*paths, *([task["notebook_task"]["notebook_path"]] if "notebook_task" in task else [])]:
            around.file_access.require(path, self._identity(), "CAN_READ")
        wheels = around.libraries.install(task["existing_cluster_id"], paths)
        around.logs.mkdir(parents=True, exist_ok=True)
        log = around.logs / f"{task['run_id']}.log"
        name = str(task["run_id"])
        if "notebook_task" in task:
            source = around.files.read(task["notebook_task"]["notebook_path"]).decode()
            widgets = task["resolved_values"]["notebook_task"]["base_parameters"]
            return TaskSpec(name, "", "", [], wheels, log, notebook=source, widgets=widgets)
        wheel = task["python_wheel_task"]
        libraries.require(wheel["package_name"], wheels)
        parameters = references.arguments(task["resolved_values"])
        return TaskSpec(name, wheel["package_name"], wheel["entry_point"], parameters, wheels, log)

    def _has_cluster(self, cluster_id: str) -> bool:
        return self._around.clusters.has(cluster_id)

    def _keep(self) -> bool:
        """Save the run; False when the store can't, for the tasks go on all the same and the next change is saved."""
        if self._abandoned:
            return True
        try:
            self._save(self.run)
        except sqlite3.Error:
            _log.exception("run %s was not saved", self.run["run_id"])
            return False
        return True
