"""All Databricks workspaces of this machine."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from secrets import compare_digest

from starlette.applications import Starlette

from localcloud.cluster import Driver
from localcloud.settings import Settings
from localcloud.store import Store
from localcloud.threads import all_at_once
from localcloud.workspace import leftovers
from localcloud.workspace.clusters import in_background
from localcloud.workspace.drivers import DriverFactory, Spawn
from localcloud.workspace.people import Caller
from localcloud.workspace.rest import make_app
from localcloud.workspace.workspace import AzureViews, Parts, Workspace

_log = logging.getLogger(__name__)


class Workspaces:
    """One `Workspace` for each workspace in Azure, and the thread behind schedules and idle clusters.

    token: what the developer's requests carry; notices: what is wrong with the cloud itself (`EventHubs.problems`).
    Call `reconcile` after each change in Azure, `set_address` once a workspace is served, then `start`.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        azure: AzureViews,
        token: str,
        *,
        notices: Callable[[], Iterable[str]] = tuple,
        make_driver: DriverFactory = Driver,
        clock: Callable[[], float] = time.time,
        spawn: Spawn = in_background,
    ) -> None:
        self._parts = Parts(store, settings, azure, notices, make_driver, clock, spawn)
        self._token = token
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._workspaces: dict[str, Workspace] = {}
        self.reconcile()

    def reconcile(self) -> None:
        """Open new workspaces; remove, with all they hold, those that Azure has no more."""
        with self._lock:
            wanted = {info.url: info for info in self._parts.azure.workspaces()}
            for url in [url for url in self._workspaces if url not in wanted]:
                self._workspaces[url].close()
                del self._workspaces[url]
            living = {info.workspace_id for info in wanted.values()}
            leftovers.remove(self._parts.store, self._parts.settings.state, living)
            for url, info in wanted.items():
                if url not in self._workspaces:
                    self._workspaces[url] = Workspace(info, self._parts)

    def urls(self) -> list[str]:
        """Host names of the workspaces, as Azure's `workspaceUrl` gives them."""
        with self._lock:
            return list(self._workspaces)

    def get(self, url: str) -> Workspace | None:
        """The workspace with this host name."""
        with self._lock:
            return self._workspaces.get(url)

    def app(self, url: str) -> Starlette:
        """The REST API of a workspace. It asks for the developer's token, or for that of one of its clusters."""
        workspace = self._workspaces[url]
        return make_app(workspace, lambda token: self._caller(workspace, token))

    def set_address(self, url: str, address: str) -> None:
        """Say where a workspace is served, for example `http://127.0.0.1:4711`; its clusters' code will ask there."""
        self._workspaces[url].drivers.host = address

    def start(self) -> None:
        """From now on schedules fire, continuous jobs run, idle clusters stop."""
        self._thread = threading.Thread(target=self._run, name="workspaces", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Do what is due now in every workspace."""
        with self._lock:
            workspaces = list(self._workspaces.values())
        for workspace in workspaces:
            workspace.scheduler.check()

    def close(self) -> None:
        """Stop schedules, runs and drivers; everything stays stored."""
        self._stop.set()
        if self._thread:
            self._thread.join(10)
        with self._lock:
            all_at_once(Workspace.close, self._workspaces.values())

    def _run(self) -> None:
        while not self._stop.wait(1.0):
            try:
                self.check()
            except Exception:  # one bad second must not end all schedules
                _log.exception("schedules could not be checked")

    def _caller(self, workspace: Workspace, token: str) -> Caller | None:
        if compare_digest(token.encode(), self._token.encode()):
            return workspace.developer
        return workspace.drivers.caller(token)
