"""A running cluster as the background process sees it: its driver process, and a handle for each task."""

import contextlib
import json
import os
import subprocess
from collections import deque
from pathlib import Path
from queue import Empty, Queue
from secrets import token_hex
from threading import Event, Lock, Thread
from typing import Any

import localcloud
from localcloud import private
from localcloud.cluster.conf import java_command, spark_home, write_conf
from localcloud.cluster.spark_ui import SparkUi, public_path
from localcloud.cluster.spec import ClusterSpec, TaskResult, TaskSpec
from localcloud.processes import kill_leftovers, record
from localcloud.settings import Settings

_START_LIMIT = 180.0  # seconds; a busy machine with cold caches needs a minute at worst
_STOP_LIMIT = 20.0


class DriverError(Exception):
    """A driver that did not start; one sentence."""


class TaskHandle:
    """A task that was handed to a driver."""

    def __init__(self, driver: "Driver", task_id: str) -> None:
        self._driver = driver
        self._task_id = task_id
        self._ended = Event()
        self._result: TaskResult | None = None

    def wait(self, timeout: float | None = None) -> TaskResult | None:
        """The task's result, or None when it still runs after ``timeout`` seconds."""
        self._ended.wait(timeout)
        return self._result

    def cancel(self) -> None:
        """Ask the task to end (SIGTERM); after 30 seconds it is killed. Its queries and jobs end with it."""
        self._driver._send({"do": "cancel", "task_id": self._task_id})

    def _end(self, result: TaskResult) -> None:
        if self._result is None:
            self._result = result
            self._ended.set()


class Driver:
    """The driver of one cluster. ``ui`` is the Spark UI while it runs."""

    def __init__(self, settings: Settings, spec: ClusterSpec) -> None:
        self._settings = settings
        self._spec = spec
        self._process: subprocess.Popen[bytes] | None = None
        self._tasks: dict[str, TaskHandle] = {}
        self._lock = Lock()
        self._started: Queue[dict[str, Any]] = Queue()
        self._alive = self._was_alive = self._stopped = False
        self._pid_file = spec.work_dir / f"{token_hex(4)}.pids"
        self.ui: SparkUi | None = None

    @property
    def alive(self) -> bool:
        """Whether Spark is up."""
        return self._alive

    @property
    def log(self) -> Path:
        """The driver's own log."""
        return self._spec.work_dir / "driver.log"

    def start(self) -> None:
        """Start Spark and wait until it is up; raises DriverError with the reason, also when `stop` comes first."""
        try:
            self._launch()
        except ModuleNotFoundError as error:
            raise DriverError(f"cluster {self._spec.cluster_id}: {error}") from error
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            raise DriverError(f"cluster {self._spec.cluster_id}: {place}{error.strerror}") from error
        Thread(target=self._listen, name=f"driver {self._spec.cluster_id}", daemon=True).start()
        try:
            first = self._started.get(timeout=_START_LIMIT)
        except Empty:
            first = {"reason": f"it was not ready after {_START_LIMIT:.0f} s"}
        if self._stopped:
            raise DriverError(f"cluster {self._spec.cluster_id}: it was stopped while it started")
        if first.get("event") != "ready":
            self.stop()
            raise DriverError(f"cluster {self._spec.cluster_id}: {first['reason']}{self._last_words()}")

    def _launch(self) -> None:
        """Start the driver process and tell it what to start."""
        spec = self._spec
        conf_dir, home = write_conf(spec), spark_home()
        for left in spec.work_dir.glob("*.pids"):
            kill_leftovers(left)
        with open(self.log, "wb", opener=private.opener) as log, self._lock:
            if self._stopped:
                raise DriverError(f"cluster {spec.cluster_id}: it was stopped before it started")
            self._process = subprocess.Popen(
                [str(self._settings.python), "-m", "localcloud.cluster.host"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=spec.work_dir,
                env=_environment(),
                start_new_session=True,
            )
        record(self._pid_file, [self._process.pid])
        self._send(
            {
                "java": java_command(self._settings, conf_dir, home),
                "spark_home": str(home),
                "conf_dir": str(conf_dir),
                "work_dir": str(spec.work_dir),
                "pid_file": str(self._pid_file),
                "env": spec.env,
                "host": spec.host,
                "token": spec.token,
                "ui_url": f"{spec.host}{public_path(spec.cluster_id)}/" if spec.host else "",
            }
        )

    def run(self, task: TaskSpec) -> TaskHandle:
        """Start a task; it runs beside the cluster's other tasks."""
        handle = TaskHandle(self, task.task_id)
        with self._lock:
            self._tasks[task.task_id] = handle
        message = {
            "task_id": task.task_id,
            "package_name": task.package_name,
            "entry_point": task.entry_point,
            "parameters": task.parameters,
            "wheels": [str(wheel) for wheel in task.wheels],
            "log": str(task.log),
            "notebook": task.notebook,
            "widgets": task.widgets,
        }
        if not (self._alive and self._send({"do": "run", "task": message})):
            self._finish(task.task_id, TaskResult("FAILED", "The driver was lost: the cluster is not running.", ""))
        return handle

    def stop(self) -> None:
        """End all tasks, the JVM and the driver process; may be called while `start` still waits."""
        with self._lock:
            self._alive, self._stopped, process = False, True, self._process
        if process is None:
            return
        # Before it is up it hears nothing, and nothing of worth runs in it.
        limit = _STOP_LIMIT if self._was_alive and self._send({"do": "stop"}) else 0
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kill_leftovers(self._pid_file)

    def _send(self, message: dict[str, Any]) -> bool:
        process = self._process
        if process is None or process.stdin is None:
            return False
        with self._lock, contextlib.suppress(OSError, ValueError):
            process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()
            return True
        return False

    def _listen(self) -> None:
        """Read the driver process's events until it ends."""
        process = self._process
        assert process is not None and process.stdout is not None
        reason = ""
        try:
            for line in process.stdout:
                with contextlib.suppress(ValueError):  # a killed process leaves half a line
                    message = json.loads(line)
                    reason = self._hear(message) or reason
        finally:
            self._alive = False
            process.wait()
            self._started.put({"event": "broken", "reason": reason or "the driver process ended while it started"})
            with self._lock:
                left = list(self._tasks)
            for task_id in left:
                error = reason or f"The driver was lost: the driver process ended with code {process.returncode}."
                self._finish(task_id, TaskResult("FAILED", error, ""))
            # A driver process that was killed leaves its children to the kernel; make sure of the JVM.
            kill_leftovers(self._pid_file)

    def _hear(self, message: dict[str, Any]) -> str:
        """Take an event; the reason when it is the end."""
        if message["event"] == "ready":
            with self._lock:
                self._was_alive, self._alive = True, not self._stopped
            self.ui = SparkUi(message["ui_url"], self._spec.ui_key) if message["ui_url"] else None
            self._started.put(message)
        elif message["event"] == "broken":
            self._started.put(message)
        elif message["event"] == "result":
            self._finish(message["task_id"], TaskResult(**message["result"]))
        elif message["event"] == "ended":
            self._alive = False
            return str(message["reason"])
        return ""

    def _finish(self, task_id: str, result: TaskResult) -> None:
        with self._lock:
            handle = self._tasks.pop(task_id, None)
        if handle is not None:
            handle._end(result)

    def _last_words(self) -> str:
        """The log's last line that tells something, for a driver that did not start."""
        with contextlib.suppress(OSError), self.log.open(errors="replace") as log:
            lines = deque((line.strip() for line in log if line.strip() and not line.startswith(("\t", " "))), 40)
            told = [line for line in lines if "Exception" in line or "Error" in line or "error" in line.lower()]
            if told or lines:
                return f" ({(told or list(lines))[-1][:300]})"
        return ""


def _environment() -> dict[str, str]:
    """The driver process's environment: this program's import path, none of its Pulumi or cloud settings."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PULUMI_", "ARM_", "AZURE_", "DATABRICKS_", "SPARK_", "PYSPARK_"))
    }
    root = Path(next(iter(localcloud.__path__))).parent
    return kept | {"PYTHONPATH": str(root), "PYTHONUNBUFFERED": "1"}
