"""Event Hubs' data plane: a Kafka broker for each namespace in use."""

import shutil
from collections.abc import Iterable
from threading import Lock

from localcloud.eventhubs.broker import Broker
from localcloud.eventhubs.model import Namespace
from localcloud.processes import kill_leftovers
from localcloud.settings import Settings
from localcloud.threads import all_at_once


class EventHubs:
    """The endpoints of all namespaces. A broker starts with the first connection to its namespace's port."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._root = settings.state / "eventhubs"
        self._brokers: dict[str, Broker] = {}
        self._lock = Lock()

    def reconcile(self, namespaces: Iterable[Namespace]) -> None:
        """Bring endpoints, hubs and keys to this state; what is gone loses its events. Idempotent."""
        wanted = {namespace.name.lower(): namespace for namespace in namespaces}
        with self._lock:
            for name in [name for name in self._brokers if name not in wanted]:
                broker = self._brokers.pop(name)
                broker.close()
                broker.erase()
            self._remove_strangers(set(wanted))
            for name, namespace in wanted.items():
                known = self._brokers.get(name)
                if known is not None and known.port != namespace.port:
                    known.close()
                    known = None
                if known is None:
                    folder = self._root / name
                    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                    self._brokers[name] = Broker(self._settings, folder, namespace)
                else:
                    known.update(namespace)

    def problems(self) -> list[str]:
        """One sentence for each namespace that cannot answer."""
        with self._lock:
            return [broker.problem for broker in self._brokers.values() if broker.problem]

    def close(self) -> None:
        """Stop all endpoints; their events stay."""
        with self._lock:
            all_at_once(Broker.close, self._brokers.values())
            self._brokers.clear()

    def _remove_strangers(self, wanted: set[str]) -> None:
        """Folders of namespaces that were deleted while nobody looked."""
        for folder in self._root.iterdir() if self._root.is_dir() else ():
            if folder.is_dir() and folder.name not in wanted:
                kill_leftovers(folder / "pids.json")
                shutil.rmtree(folder, ignore_errors=True)
