"""The background process: all rooms of the local cloud put together, one for each state folder."""

import fcntl
import json
import logging
import os
import secrets
import threading
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from localcloud import faults, private, storage, temporary
from localcloud.arm import Arm
from localcloud.arm import http as arm_http
from localcloud.arm.rehearsal import Rehearsal
from localcloud.arm.throttle import Throttle
from localcloud.eventhubs import EventHubs
from localcloud.providers.azure_native import AzureNative
from localcloud.providers.databricks import Databricks
from localcloud.providers.servicer import ProviderServer
from localcloud.settings import Settings
from localcloud.store import Store
from localcloud.web import WebServer
from localcloud.workspace import Workspaces

_PORTS = "ports"

_log = logging.getLogger(__name__)


class StartError(Exception):
    """Why the local cloud can't start, in one sentence."""


class LocalCloud:
    """Azure and Databricks on this machine, as a context manager: ready inside, stopped after.

    `endpoint.json` in the state folder says where it listens; it exists only while the cloud runs.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._endpoint = settings.state / "endpoint.json"
        self._changes = threading.Lock()
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._sites: dict[str, WebServer] = {}
        self._providers: dict[str, ProviderServer] = {}
        self._announced = ""
        self._behind = ""

    def __enter__(self) -> "LocalCloud":
        with ExitStack() as stack:
            self._start(stack)
            # Everything runs: what was started is stopped by __exit__ from now on.
            self._started = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._started.close()

    def keep_up(self) -> None:
        """To be called about every second.

        Follows a change in Azure that could not be followed when it was made, and writes `endpoint.json` again if
        somebody removed it: nobody would find the cloud otherwise.
        """
        if self._behind or not self._endpoint.exists():
            self._follow()

    def problems(self) -> list[str]:
        """What is wrong with the cloud itself, in sentences."""
        return [*self._event_hubs.problems(), *([self._behind] if self._behind else [])]

    def _start(self, stack: ExitStack) -> None:
        """Start the rooms; `stack` stops them in the opposite order."""
        self._prepare_folder()
        stack.callback(os.close, self._take_lock())
        stack.enter_context(temporary.folder(self._settings.state / "tmp"))
        # What a killed process left behind must mislead nobody; at the end, neither what a last request wrote again.
        self._endpoint.unlink(missing_ok=True)
        stack.callback(self._endpoint.unlink, missing_ok=True)
        self.token = self._make_token()
        self.store = stack.enter_context(closing(Store(self._settings.state / "cloud.db")))
        self.arm = Arm(self.store)
        self._event_hubs = stack.enter_context(closing(EventHubs(self._settings)))
        self.workspaces = stack.enter_context(
            closing(Workspaces(self.store, self._settings, self.arm, self.token, notices=self.problems))
        )
        stack.callback(self._close_sites)
        throttle, rehearsal = Throttle(), Rehearsal(self.store)
        self._arm_server = WebServer(arm_http.app(self.arm, self.token, throttle, rehearsal), self._port("arm"))
        stack.callback(self._arm_server.stop)
        self._keep_port("arm", self._arm_server.port)
        for provider in (AzureNative(self.arm, throttle, rehearsal), Databricks(self.workspaces)):
            server = ProviderServer(provider, self._port(provider.name))
            stack.callback(server.stop)
            self._providers[provider.name] = server
            self._keep_port(provider.name, server.port)
        self.arm.on_change(self._follow)
        stack.callback(self._endpoint.unlink, missing_ok=True)
        with self._changes:
            self._reconcile()
        self.workspaces.start()

    def _prepare_folder(self) -> None:
        state = self._settings.state
        try:
            state.mkdir(parents=True, exist_ok=True, mode=0o700)
            state.chmod(0o700)
        except OSError as error:
            raise StartError(f"the state folder {state} can't be used: {error.strerror}") from error

    def _take_lock(self) -> int:
        path = self._settings.state / "lock"
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StartError(f"the state folder {self._settings.state} can't be used: {error.strerror}") from error
        try:
            # The kernel frees it when the process ends, however it ends.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 32).decode().strip()
            os.close(lock)
            raise StartError(
                f"a local cloud with the state folder {self._settings.state} runs already (process {holder})"
            ) from None
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        return lock

    def _make_token(self) -> str:
        path = self._settings.state / "token"
        if path.exists():
            path.chmod(0o600)
            # A full disk may have left an empty file, and an empty token would open the door to everybody.
            if token := path.read_text(encoding="ascii").strip():
                return token
        token = secrets.token_urlsafe(32)
        private.write(path, token)
        return token

    def _port(self, name: str) -> int:
        return int((self.store.get(_PORTS, name) or {"port": 0})["port"])

    def _keep_port(self, name: str, port: int) -> None:
        if self._port(name) != port:
            self.store.put(_PORTS, name, {"port": port})

    def _follow(self) -> None:
        """Follow a change in Azure. It is made: what fails here is no failure of the request that made it."""
        with self._changes:
            try:
                self._reconcile()
                self._behind = ""
            except Exception as error:
                if not self._behind:
                    self._behind = f"Azure has changed, and {faults.explain('reconcile', error)}"
                    _log.warning("%s; trying again every second", self._behind)

    def _reconcile(self) -> None:
        """Bring folders, brokers and workspaces in line with the resources."""
        storage.reconcile(self._settings, self.arm.containers())
        self._event_hubs.reconcile(self.arm.namespaces())
        self.workspaces.reconcile()
        wanted = set(self.workspaces.urls())
        for url in self._sites.keys() - wanted:
            self._sites.pop(url).stop()
            self.store.delete(_PORTS, url)
        for url in wanted - self._sites.keys():
            self._sites[url] = WebServer(self.workspaces.app(url), self._port(url))
            self.workspaces.set_address(url, self._sites[url].url)
        for url, site in self._sites.items():
            self._keep_port(url, site.port)
        self._announce()

    def _close_sites(self) -> None:
        for site in self._sites.values():
            site.stop()

    def _announce(self) -> None:
        endpoint: dict[str, Any] = {
            "pid": os.getpid(),
            "started_at": self._started_at,
            "arm": self._arm_server.url,
            "subscription": self.arm.client_config()["subscriptionId"],
            "providers": {name: server.port for name, server in self._providers.items()},
            "workspaces": {url: site.url for url, site in self._sites.items()},
        }
        text = json.dumps(endpoint, indent=1)
        if text != self._announced or not self._endpoint.exists():
            private.write(self._endpoint, text)
            self._announced = text
