"""The background process: all rooms of the local cloud put together, one for each state folder."""

import fcntl
import json
import os
import secrets
import threading
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from localcloud import storage
from localcloud.arm import Arm
from localcloud.arm import http as arm_http
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

    def stay_announced(self) -> None:
        """Write `endpoint.json` again if somebody removed it: nobody would find the cloud otherwise."""
        with self._changes:
            if not self._endpoint.exists():
                self._announced = ""
                self._announce()

    def _start(self, stack: ExitStack) -> None:
        """Start the rooms; `stack` stops them in the opposite order."""
        self._prepare_folder()
        stack.callback(os.close, self._take_lock())
        # What a killed process left behind must mislead nobody.
        self._endpoint.unlink(missing_ok=True)
        self.token = self._make_token()
        self.store = stack.enter_context(closing(Store(self._settings.state / "cloud.db")))
        self.arm = Arm(self.store)
        self._event_hubs = stack.enter_context(closing(EventHubs(self._settings)))
        self.workspaces = stack.enter_context(
            closing(Workspaces(self.store, self._settings, self.arm, self.token, notices=self._event_hubs.problems))
        )
        stack.callback(self._close_sites)
        throttle = Throttle()
        self._arm_server = WebServer(arm_http.app(self.arm, self.token, throttle), self._port("arm"))
        stack.callback(self._arm_server.stop)
        self._keep_port("arm", self._arm_server.port)
        for provider in (AzureNative(self.arm, throttle), Databricks(self.workspaces)):
            server = ProviderServer(provider, self._port(provider.name))
            stack.callback(server.stop)
            self._providers[provider.name] = server
            self._keep_port(provider.name, server.port)
        self.arm.on_change(self._reconcile)
        stack.callback(self._endpoint.unlink, missing_ok=True)
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
        try:
            return path.read_text(encoding="ascii")
        except FileNotFoundError:
            token = secrets.token_urlsafe(32)
            _write_private(path, token)
            return token

    def _port(self, name: str) -> int:
        return int((self.store.get(_PORTS, name) or {"port": 0})["port"])

    def _keep_port(self, name: str, port: int) -> None:
        self.store.put(_PORTS, name, {"port": port})

    def _reconcile(self) -> None:
        """Bring folders, brokers and workspaces in line with the resources."""
        with self._changes:
            storage.reconcile(self._settings, self.arm.containers())
            self._event_hubs.reconcile(self.arm.namespaces())
            self.workspaces.reconcile()
            wanted = set(self.workspaces.urls())
            for url in self._sites.keys() - wanted:
                self._sites.pop(url).stop()
                self.store.delete(_PORTS, url)
            for url in wanted - self._sites.keys():
                site = WebServer(self.workspaces.app(url), self._port(url))
                self._sites[url] = site
                self._keep_port(url, site.port)
                self.workspaces.set_address(url, site.url)
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
        if text != self._announced:
            _write_private(self._endpoint, text)
            self._announced = text


def _write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone can read; readers see the old text or the new one, never a part."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)
