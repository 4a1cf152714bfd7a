"""The driver process of one cluster (``python -m localcloud.cluster.host``): starts the JVM and forks the tasks.

It imports PySpark once and stays single-threaded, so that forking a task is quick and safe; what needs a connection to
the JVM runs in its own fork (`gateway`). Commands come as JSON lines on stdin, the first one being the start message,
and events leave on stdout; the end of stdin ends the cluster. Nothing secret is on a command line.
"""

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import IO, Any, NoReturn

import localcloud
from localcloud.cluster import jvm
from localcloud.cluster.conf import spark_home
from localcloud.processes import die_with_parent, record

_PRELOADED = (
    "databricks.sdk",
    "databricks.sdk.dbutils",
    "pyspark.sql.functions",
    "pyspark.sql.streaming",
    "localcloud.cluster.gateway",
    "localcloud.cluster.task",
)
GRACE = 30.0  # seconds between a task's SIGTERM and its SIGKILL
_FAREWELL = 8.0  # seconds that tasks and the JVM get when the whole cluster ends

_CANCELED = {"outcome": "CANCELED", "error": "The task was canceled.", "trace": ""}


@dataclass
class _Task:
    message: dict[str, Any]
    pid: int = 0
    # A file and no pipe: a task writes it as it ends, and may write any length, while nobody reads.
    file: IO[bytes] | None = None
    result: dict[str, str] | None = None
    canceled: bool = False
    kill_at: float = float("inf")


@dataclass
class _Lines:
    """Complete lines out of a stream of chunks."""

    rest: bytes = b""

    def feed(self, chunk: bytes) -> list[dict[str, Any]]:
        *lines, self.rest = (self.rest + chunk).split(b"\n")
        return [json.loads(line) for line in lines if line]


@dataclass
class Host:
    """The event loop of a driver process."""

    start: dict[str, Any]
    commands: int
    events: int
    tasks: dict[str, _Task] = field(default_factory=dict)
    stopping: bool = False

    @property
    def work_dir(self) -> Path:
        """The cluster's folder."""
        return Path(self.start["work_dir"])

    def run(self) -> None:
        """Start the JVM and serve until the cluster ends; returns when nothing of it is left."""
        self._read_wake, self._write_wake = os.pipe()
        # Tasks notice the end of this process by the end of this pipe, where the kernel does not tell them.
        self._read_alive, self._write_alive = os.pipe()
        os.set_blocking(self._write_wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._write_wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.jvm = self._start_jvm()
        record(Path(self.start["pid_file"]), [os.getpid(), self.jvm.pid])
        _preload()
        self.address = self._gateway_address()
        self._start_gateway()
        record(Path(self.start["pid_file"]), [os.getpid(), self.jvm.pid, self.gateway_pid])
        command_lines, gateway_lines = _Lines(), _Lines()
        selector = selectors.DefaultSelector()
        selector.register(self.commands, selectors.EVENT_READ)
        selector.register(self.gateway, selectors.EVENT_READ)
        selector.register(self._read_wake, selectors.EVENT_READ)
        while not self.stopping:
            due = min((task.kill_at for task in self.tasks.values()), default=float("inf"))
            ready = {
                key.fd for key, _ in selector.select(None if due == float("inf") else max(0, due - time.monotonic()))
            }
            if self._read_wake in ready:
                os.read(self._read_wake, 4096)
            if self.gateway.fileno() in ready:
                for message in gateway_lines.feed(self.gateway.recv(65536)):
                    self._gateway_says(message)
            if self.commands in ready:
                chunk = os.read(self.commands, 65536)
                self.stopping = self.stopping or not chunk
                for message in command_lines.feed(chunk):
                    self._command(message)
            self._reap()
            self._kill_overdue()
        self._end("The cluster was terminated while the task ran.", "CANCELED")

    # -- starting

    def _start_jvm(self) -> subprocess.Popen[bytes]:
        return jvm.start(
            self.start["java"],
            Path(self.start["spark_home"]),
            Path(self.start["conf_dir"]),
            self.work_dir,
            dict(os.environ) | self.start["env"],
            stdout=sys.stderr.fileno(),
            start_new_session=True,
            preexec_fn=die_with_parent,
        )

    def _gateway_address(self) -> tuple[int, str]:
        try:
            return jvm.address(self.jvm, self.work_dir)
        except ChildProcessError as error:
            _broken(self.events, str(error))

    def _start_gateway(self) -> None:
        self.gateway, theirs = socket.socketpair()
        self.gateway_pid = os.fork()
        if self.gateway_pid == 0:
            with _leave_with_traceback():
                self._become_child()
                from localcloud.cluster import gateway

                gateway.serve(theirs, *self.address)
        theirs.close()

    def _become_child(self) -> None:
        """In a fresh fork: keep nothing of the parent but the pipe that tells of its end."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        die_with_parent()
        os.setsid()
        for fd in (self.commands, self.events, self._read_wake, self._write_wake, self._write_alive):
            os.close(fd)
        if self.jvm.stdin is not None:
            os.close(self.jvm.stdin.fileno())
        for task in self.tasks.values():
            if task.file is not None:
                task.file.close()
        self.gateway.close()
        from threading import Thread

        Thread(target=_end_with_pipe, args=(self._read_alive,), daemon=True).start()

    # -- messages

    def _command(self, message: dict[str, Any]) -> None:
        if message["do"] == "run":
            self.tasks[message["task"]["task_id"]] = _Task(message["task"])
            self._ask_gateway("open", message["task"]["task_id"])
        elif message["do"] == "cancel":
            task = self.tasks.get(message["task_id"])
            if task and not task.canceled:
                task.canceled = True
                if task.pid:
                    self._terminate(task)
        elif message["do"] == "stop":
            self.stopping = True

    def _gateway_says(self, message: dict[str, Any]) -> None:
        if message["event"] in ("ready", "broken"):
            self._tell(message)
        elif message["event"] == "opened":
            self._fork_task(self.tasks[message["task_id"]], message["port"], message["secret"])
        elif message["event"] == "closed":
            task = self.tasks.pop(message["task_id"])
            self._tell({"event": "result", "task_id": message["task_id"], "result": task.result})

    def _fork_task(self, task: _Task, port: int, secret: str) -> None:
        if task.canceled:
            task.result = _CANCELED
            self._ask_gateway("close", task.message["task_id"])
            return
        try:
            file = tempfile.TemporaryFile(dir=self.work_dir)  # noqa: SIM115
            pid = os.fork()
        except OSError as error:
            task.result = _failed(f"The task's Python process did not start: {error.strerror}.")
            self._ask_gateway("close", task.message["task_id"])
            return
        if pid == 0:
            with _leave_with_traceback():
                self._become_child()
                from localcloud.cluster import task as task_process

                task_process.run(self.start, task.message, port, secret, file)
        task.pid, task.file = pid, file
        record(Path(self.start["pid_file"]), [os.getpid(), self.jvm.pid, self.gateway_pid, *self._pids()])

    def _pids(self) -> list[int]:
        return [task.pid for task in self.tasks.values() if task.pid and task.result is None]

    def _tell(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self.events, json.dumps(message).encode() + b"\n")

    def _ask_gateway(self, action: str, task_id: str) -> None:
        with contextlib.suppress(OSError):
            self.gateway.sendall(json.dumps({"do": action, "task_id": task_id}).encode() + b"\n")

    # -- endings

    def _terminate(self, task: _Task) -> None:
        task.kill_at = time.monotonic() + GRACE
        with contextlib.suppress(ProcessLookupError):
            os.kill(task.pid, signal.SIGTERM)

    def _kill_overdue(self) -> None:
        for task in self.tasks.values():
            if task.kill_at <= time.monotonic():
                task.kill_at = float("inf")
                _kill_group(task.pid)

    def _reap(self) -> None:
        if self.jvm.poll() is not None:
            self._lost()
        for task_id, task in self.tasks.items():
            if task.pid and task.result is None:
                pid, status = os.waitpid(task.pid, os.WNOHANG)
                if pid:
                    self._task_ended(task, os.waitstatus_to_exitcode(status))
                    self._ask_gateway("close", task_id)
        pid, _ = os.waitpid(self.gateway_pid, os.WNOHANG)
        if pid and not self.stopping:
            # It hears of the JVM's end first.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.jvm.wait(1)
            self._lost()

    def _task_ended(self, task: _Task, code: int) -> None:
        task.kill_at = float("inf")
        assert task.file is not None
        with task.file as file:
            file.seek(0)
            data = file.read()
        task.file = None
        _kill_group(task.pid)  # what the task's own children left running
        reason = f"signal {-code}" if code < 0 else f"exit code {code}"
        task.result = _failed(f"The task's Python process ended with {reason}.")
        if task.canceled:
            task.result = _CANCELED
        else:
            with contextlib.suppress(ValueError):  # nothing, or a part: it was killed, or the disk is full
                task.result = json.loads(data)

    def _lost(self) -> None:
        """Without the JVM, or the process that talks to it, nothing can go on: every task fails, and the cluster."""
        if not self.stopping:
            self.stopping = True
            code = self.jvm.returncode
            reason = (
                "the process that talks to Spark ended" if code is None else f"the Spark JVM ended with code {code}"
            )
            self._end(f"The driver was lost: {reason}. It may have run out of memory; see the cluster's log.", "FAILED")

    def _end(self, error: str, outcome: str) -> None:
        """End all processes, tell the result of every task that still ran, and leave."""
        deadline = time.monotonic() + _FAREWELL
        lost = self.jvm.poll() is not None
        for pid in self._pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if lost else signal.SIGTERM)
        for task_id, task in self.tasks.items():
            if task.pid and task.result is None:
                _wait(task.pid, deadline)
            result = task.result
            # A task whose session was not closed yet may have failed for the same reason, in words of its own.
            if result is None or result["outcome"] == outcome == "FAILED":
                result = {"outcome": outcome, "error": error, "trace": result["trace"] if result else ""}
            self._tell({"event": "result", "task_id": task_id, "result": result})
        _kill_group(self.gateway_pid)
        self.jvm.terminate()
        try:
            self.jvm.wait(max(1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.jvm.kill()
            self.jvm.wait()
        Path(self.start["pid_file"]).unlink(missing_ok=True)
        self._tell({"event": "ended", "reason": error})
        os._exit(0)


def _failed(error: str) -> dict[str, str]:
    return {"outcome": "FAILED", "error": error, "trace": ""}


def _wait(pid: int, deadline: float) -> None:
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            _kill_group(pid)
            os.waitpid(pid, 0)
            return
        time.sleep(0.02)
    _kill_group(pid)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


@contextlib.contextmanager
def _leave_with_traceback() -> Any:
    """A fork must never run on into its parent's loop."""
    try:
        yield
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _end_with_pipe(fd: int) -> None:
    os.read(fd, 1)
    os._exit(1)


def _broken(events: int, reason: str) -> NoReturn:
    os.write(events, json.dumps({"event": "broken", "reason": reason}).encode() + b"\n")
    os._exit(1)


def _preload() -> None:
    """Import what every task needs, so that a fork has it."""
    for module in _PRELOADED:
        import_module(module)
    # What lies beside this program is not on a cluster of Databricks: a wheel that imports it must fail here too.
    root = Path(next(iter(localcloud.__path__))).parent
    if root != spark_home().parent:
        sys.path[:] = [folder for folder in sys.path if Path(folder) != root]


def main() -> None:
    """Serve the commands on stdin."""
    commands, events = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    # stdout carries events alone: what anyone prints goes to the cluster's log.
    os.dup2(2, 1)
    # The import path of this program is not the tasks' business.
    os.environ.pop("PYTHONPATH", None)
    first = b""
    while not first.endswith(b"\n"):
        first += os.read(commands, 65536) or _broken(events, "no start message")
    start = json.loads(first)
    Host(start, commands, events).run()


if __name__ == "__main__":
    main()
