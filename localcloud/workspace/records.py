"""The clusters of a workspace as they are kept: settings, state, events."""

import time
from collections.abc import Callable
from typing import Any

from localcloud.store import Store
from localcloud.workspace.errors import invalid
from localcloud.workspace.shelf import Record, Shelf

_MAX_EVENTS = 500


class ClusterRecords:
    """Settings and state of each cluster, and what happened to it. Times are epoch milliseconds."""

    def __init__(self, store: Store, workspace_id: str, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._clusters = Shelf(store, "cluster", workspace_id)
        self._events = Shelf(store, "cluster-event", workspace_id)

    def now(self) -> int:
        """Epoch milliseconds."""
        return int(self._clock() * 1000)

    def has(self, cluster_id: str) -> bool:
        """Whether the cluster exists."""
        return self._clusters.get(cluster_id) is not None

    def get(self, cluster_id: str) -> Record:
        """The cluster; refused if there is none."""
        found = self._clusters.get(cluster_id)
        if found is None:
            # Not 404: terraform-provider-databricks recognises exactly this answer.
            raise invalid(f"Cluster {cluster_id} does not exist")
        return found

    def values(self) -> list[Record]:
        """All clusters, oldest first."""
        return self._clusters.values()

    def put(self, record: Record) -> None:
        """Set a cluster."""
        self._clusters.put(record["cluster_id"], record)

    def update(self, cluster_id: str, **changes: Any) -> None:
        """Change fields of a cluster, if it still exists; None removes a field."""
        with self._store.transaction():
            record = self._clusters.get(cluster_id)
            if record is not None:
                record.update(changes)
                self.put({name: value for name, value in record.items() if value is not None})

    def delete(self, cluster_id: str) -> None:
        """Remove a cluster and its events."""
        with self._store.transaction():
            self._clusters.delete(cluster_id)
            for key, _ in self._events.items(f"{cluster_id}/"):
                self._events.delete(key)

    def event(self, cluster_id: str, type_: str, **details: Any) -> None:
        """Note that something happened; the oldest of more than 500 events go."""
        with self._store.transaction():
            number = self._store.next_id("databricks/cluster-event")
            event = {"cluster_id": cluster_id, "timestamp": self.now(), "type": type_, "details": details}
            self._events.put(f"{cluster_id}/{number:012}", event)
            for key, _ in self._events.items(f"{cluster_id}/")[:-_MAX_EVENTS]:
                self._events.delete(key)

    def events(self, cluster_id: str) -> list[Record]:
        """Events of a cluster, oldest first."""
        self.get(cluster_id)
        return self._events.values(f"{cluster_id}/")
