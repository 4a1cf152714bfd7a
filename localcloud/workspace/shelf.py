"""The part of the store that belongs to one owner (a workspace, a metastore) and holds one kind of object."""

from typing import Any

from localcloud.store import Store

Record = dict[str, Any]


class Shelf:
    """Objects of one kind and one owner, by key. owner: for example a workspace id; a key may contain anything."""

    def __init__(self, store: Store, kind: str, owner: str) -> None:
        self.store = store
        self._kind = f"databricks/{kind}"
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

    def clear(self) -> None:
        """Remove all objects of this owner."""
        with self.store.transaction():
            for key, _ in self.items():
                self.delete(key)
