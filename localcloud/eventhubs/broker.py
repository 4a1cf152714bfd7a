"""The Kafka endpoint of one namespace: a listener while it is idle, a broker from the first connection on."""

import contextlib
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
from localcloud.eventhubs.kafka import STARTED, Launch, prepare
from localcloud.eventhubs.model import Namespace
from localcloud.processes import kill_leftovers, record
from localcloud.settings import Settings

_RETRY = 2.0  # seconds until a port that someone else holds is tried again


class Broker:
    """One namespace's endpoint, served by a thread of its own until it is closed."""

    def __init__(self, settings: Settings, folder: Path, namespace: Namespace) -> None:
        self.problem = ""
        self.port = namespace.port
        self._settings = settings
        self._folder = folder
        self._namespace = namespace
        self._dropped: set[str] = set()
        self._access: Access | None = None
        self._process: subprocess.Popen[str] | None = None
        self._lock = Lock()
        self._closed = False
        self._port_taken = False
        self._woken, self._wake = socket.socketpair()
        kill_leftovers(folder / "pids.json")
        self._listener = self._listen()
        self._thread = Thread(target=self._serve, name=f"event hubs {namespace.name}", daemon=True)
        self._thread.start()

    def update(self, namespace: Namespace) -> None:
        """Take the namespace's new state; a running broker has it when this returns."""
        with self._lock:
            self._dropped |= {hub.name for hub in self._namespace.hubs} - {hub.name for hub in namespace.hubs}
            self._namespace = namespace
            if self._access is not None:
                self._sync(self._access)

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
            waiting = self._first_client()
            if waiting is not None and not self._closed:
                self._run(waiting)
            if not self._closed:
                self._listener = self._listen()

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
        with contextlib.ExitStack() as stack:
            stack.callback(waiting.close)
            try:
                launch = prepare(self._settings, self._folder, self.port)
                log = stack.enter_context(open(self._folder / "broker.log", "w", opener=private.opener))
                process = self._start(launch)
            except OSError as error:
                self._failed(error.strerror or str(error))
                return
            if process is None or process.stdout is None:
                return
            ready = False
            for line in process.stdout:
                log.write(line)
                log.flush()
                last.append(line.strip())
                if STARTED in line and not ready:
                    ready = self._let_in(launch)
                    waiting.close()
            with self._lock:
                self._access = None
                self._process = None
            code = process.wait()
            if not ready and not self._closed:
                # Before the client is let go: who sees the connection end finds the reason here.
                self._failed(_reason(last) or f"it ended with code {code}")

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
            record(self._folder / "pids.json", [self._process.pid])
            return self._process

    def _let_in(self, launch: Launch) -> bool:
        """Bring the fresh broker to the namespace's state, then open it to clients."""
        with self._lock:
            if self._process is None:
                return False
            with contextlib.suppress(psutil.Error):
                children = psutil.Process(self._process.pid).children()
                record(self._folder / "pids.json", [self._process.pid, *[child.pid for child in children]])
            # The broker has read it; the password need not stay on the disk.
            (self._folder / "server.properties").unlink(missing_ok=True)
            access = Access(launch.admin_port, launch.password)
            if not self._sync(access):
                self._end_process()
                return True
            try:
                access.open(launch.listener)
            except (KafkaException, OSError) as error:
                self._failed(str(error))
                self._end_process()
                return True
            self._access = access
            return True

    def _sync(self, access: Access) -> bool:
        try:
            access.sync(self._namespace, self._dropped)
        except (KafkaException, OSError) as error:
            self._failed(str(error))
            return False
        self._dropped.clear()
        self.problem = ""
        return True

    def _failed(self, reason: str) -> None:
        self.problem = (
            f"Event Hubs namespace {self._namespace.name}: its broker did not start on port {self.port}: {reason}"
            f" (log: {self._folder / 'broker.log'}). The next connection tries again."
        )

    def _end_process(self) -> None:
        """The guard ends the broker when its stdin ends."""
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
