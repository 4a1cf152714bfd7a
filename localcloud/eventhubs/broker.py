"""The Kafka endpoint of one namespace: a listener while it is idle, a broker from the first connection on."""

import contextlib
import logging
import os
import selectors
import shutil
import socket
import subprocess
from collections import deque
from pathlib import Path
from threading import Lock, Thread

import psutil
from confluent_kafka import KafkaException

from localcloud import private
from localcloud.eventhubs.access import Access
from localcloud.eventhubs.deleted import DeletedHubs
from localcloud.eventhubs.kafka import PROPERTIES, STARTED, Launch, prepare
from localcloud.eventhubs.model import Namespace
from localcloud.processes import kill_leftovers, record
from localcloud.settings import Settings

_RETRY = 2.0  # seconds until a port that someone else holds, or an endpoint that failed, is tried again

_log = logging.getLogger(__name__)


class Broker:
    """One namespace's endpoint, served by a thread of its own until it is closed."""

    def __init__(self, settings: Settings, folder: Path, namespace: Namespace) -> None:
        self.problem = ""
        self.port = namespace.port
        self._settings = settings
        self._folder = folder
        self._namespace = namespace
        self._deleted = DeletedHubs(folder, namespace)
        self._access: Access | None = None
        self._process: subprocess.Popen[str] | None = None
        self._lock = Lock()
        self._closed = False
        self._port_taken = False
        self._woken, self._wake = socket.socketpair()
        self._pids = folder / "pids.json"
        kill_leftovers(self._pids)
        self._listener = self._listen()
        self._thread = Thread(target=self._serve, name=f"event hubs {namespace.name}", daemon=True)
        self._thread.start()

    def update(self, namespace: Namespace) -> None:
        """Take the namespace's new state; a running broker has it when this returns, or it has ended."""
        with self._lock:
            if namespace == self._namespace:
                return
            self._namespace = namespace
            self._deleted.note(namespace)
            if self._access is not None:
                try:
                    self._sync(self._access)
                except (KafkaException, OSError) as error:
                    self._failed("its broker did not take the change of its hubs or keys, and was stopped", error)
                    self._end_process()
                    # Not in its own time: it still honours keys that were removed.
                    kill_leftovers(self._pids)

    def close(self) -> None:
        """Stop the broker or the listener."""
        with self._lock:
            self._closed = True
            self._wake.send(b"x")
            self._end_process()
        self._thread.join()
        self._woken.close()
        self._wake.close()

    def erase(self) -> None:
        """Remove the namespace's events; only after `close`."""
        shutil.rmtree(self._folder, ignore_errors=True)

    # -- the thread

    def _serve(self) -> None:
        while not self._closed:
            try:
                waiting = self._first_client()
                if waiting is not None and not self._closed:
                    self._run(waiting)
                if not self._closed:
                    self._listener = self._listen()
            except Exception as error:  # whatever it was, the next client must find somebody
                _log.exception("the endpoint of namespace %s failed", self._namespace.name)
                self._failed("its endpoint failed", error)

    def _listen(self) -> socket.socket | None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", self.port))
            listener.listen()
        except OSError as error:
            listener.close()
            self._port_taken = True
            self.problem = (
                f"Event Hubs namespace {self._namespace.name}: port {self.port} of this machine is used by"
                f" another program ({error.strerror}). Stop that program; the namespace answers again by itself."
            )
            return None
        if self._port_taken:
            self._port_taken, self.problem = False, ""
        return listener

    def _first_client(self) -> socket.socket | None:
        """Wait for a connection; None when there is no port to wait on yet, or when the endpoint closes."""
        listener, self._listener = self._listener, None
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            if listener is None:
                selector.select(_RETRY)
                return None
            with listener:
                selector.register(listener, selectors.EVENT_READ)
                selector.select()
                return None if self._closed else listener.accept()[0]

    def _run(self, waiting: socket.socket) -> None:
        """Run the broker until it ends. The first client is kept waiting and let go when the broker is ready: it comes
        back at once, while a refused one would back off."""
        last: deque[str] = deque(maxlen=50)
        # The client is let go last: who sees the connection end finds the reason in `problem`.
        with contextlib.ExitStack() as stack:
            stack.callback(waiting.close)
            stack.callback(self._forget_password)
            try:
                launch = prepare(self._settings, self._folder, self.port)
                # Without a buffer: on a full disk nothing waits to be written when the file is closed.
                log = stack.enter_context(open(self._folder / "broker.log", "wb", buffering=0, opener=private.opener))
                process = self._start(launch)
            except OSError as error:
                self._failed(self._not_started, error.strerror or error)
                return
            if process is None or process.stdout is None:
                return
            ready = False
            try:
                for line in process.stdout:
                    with contextlib.suppress(OSError):  # a full disk: the broker's own files decide whether it goes on
                        log.write(line.encode())
                    last.append(line.strip())
                    if STARTED in line and not ready:
                        ready = True
                        self._let_in(launch)
                        waiting.close()
            finally:
                with self._lock:
                    self._end_process()
                    self._process = None
                code = process.wait()
            if not ready and not self._closed:
                self._failed(self._not_started, _reason(last) or f"it ended with code {code}")

    def _start(self, launch: Launch) -> subprocess.Popen[str] | None:
        with self._lock:
            if self._closed:
                return None
            self._process = subprocess.Popen(
                launch.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                cwd=self._folder,
                env={key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")},
                start_new_session=True,
            )
            record(self._pids, [self._process.pid])
            return self._process

    def _let_in(self, launch: Launch) -> None:
        """Bring the fresh broker to the namespace's state, then open it to clients."""
        with self._lock:
            if self._process is None:
                return
            with contextlib.suppress(psutil.Error):
                children = psutil.Process(self._process.pid).children()
                record(self._pids, [self._process.pid, *[child.pid for child in children]])
            self._forget_password()
            try:
                access = Access(launch.admin_port, launch.password)
                self._sync(access)
                access.open(launch.listener)
            except (KafkaException, OSError) as error:
                self._failed(self._not_started, error)
                self._end_process()
                return
            self._access = access
            self.problem = ""

    def _sync(self, access: Access) -> None:
        access.sync(self._namespace, self._deleted.names)
        self._deleted.gone()

    def _forget_password(self) -> None:
        """A broker that runs has read it; it need not stay on the disk."""
        (self._folder / PROPERTIES).unlink(missing_ok=True)

    @property
    def _not_started(self) -> str:
        return f"its broker did not start on port {self.port}"

    def _failed(self, what: str, reason: object) -> None:
        self.problem = (
            f"Event Hubs namespace {self._namespace.name}: {what}: {reason}"
            f" (log: {self._folder / 'broker.log'}). The next connection tries again."
        )

    def _end_process(self) -> None:
        """The guard ends the broker when its stdin ends; until then nobody brings it to a new state any more."""
        self._access = None
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()


def _reason(lines: deque[str]) -> str:
    """The last thing that a broker says about its end, without time and stack."""
    for line in reversed(lines):
        for word in ("Exception: ", "Error: ", "ERROR ", "FATAL "):
            if word in line and not line.startswith("at "):
                return line.partition(word)[2].strip()
    return lines[-1] if lines else ""
