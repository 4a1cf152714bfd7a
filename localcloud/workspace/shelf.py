"""The part of the store that belongs to one owner (a workspace, a metastore) and holds one kind of object."""

from collections.abc import Set
from typing import Any

from localcloud.store import Store

Record = dict[str, Any]


class Shelf:
    """Objects of one kind and one owner, by key. owner: for example a workspace id; a key may contain anything."""

    def __init__(self, store: Store, kind: str, owner: str) -> None:
        self.store = store
        self._kind = _kind(kind)
        self._prefix = f"{owner}\n"

    def get(self, key: str) -> Record | None:
        """The object, or None."""
        return self.store.get(self._kind, self._prefix + key)

    def put(self, key: str, value: Record) -> None:
        """Set the object; one that exists keeps its place in the order."""
        self.store.put(self._kind, self._prefix + key, value)

    def delete(self, key: str) -> bool:
        """Remove the object; False if there was none."""
        return self.store.delete(self._kind, self._prefix + key)

    def items(self, prefix: str = "") -> list[tuple[str, Record]]:
        """Keys that start with `prefix` and their objects, oldest first."""
        found = self.store.list(self._kind, self._prefix + prefix)
        return [(key[len(self._prefix) :], value) for key, value in found]

    def values(self, prefix: str = "") -> list[Record]:
        """The objects whose keys start with `prefix`, oldest first."""
        return [value for _, value in self.items(prefix)]


def owned(store: Store, kind: str) -> list[tuple[str, str]]:
    """Owner and key of every object of a kind."""
    return [(owner, key) for owner, _, key in (text.partition("\n") for text in store.keys(_kind(kind)))]


def keep(store: Store, kind: str, owners: Set[str]) -> None:
    """Remove all objects of a kind but those of these owners."""
    with store.transaction():
        for owner, key in owned(store, kind):
            if owner not in owners:
                Shelf(store, kind, owner).delete(key)


def _kind(kind: str) -> str:
    return f"databricks/{kind}"
