"""What the local cloud remembers: one SQLite file, readable by its owner alone, because it holds keys and secrets."""

import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_TABLES = """
CREATE TABLE IF NOT EXISTS entries (
  position INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
  UNIQUE (kind, key));
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""


class Store:
    """JSON objects by kind and key. Safe to share between threads; every write is a transaction.

    path: the SQLite file; it and its journals get mode 0600.
    """

    def __init__(self, path: Path) -> None:
        # The journals inherit the mode of the database file, so it must be private before SQLite opens it.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)
        self._lock = threading.RLock()
        self._depth = 0
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        # Deleted keys and secrets must not stay readable in the file's free pages.
        self._db.execute("PRAGMA secure_delete=ON")
        self._db.executescript(_TABLES)

    def get(self, kind: str, key: str) -> dict[str, Any] | None:
        """The value, or None."""
        with self._lock:
            row = self._db.execute("SELECT value FROM entries WHERE kind = ? AND key = ?", (kind, key)).fetchone()
        return json.loads(row[0]) if row else None

    def put(self, kind: str, key: str, value: dict[str, Any]) -> None:
        """Set the value; a key that exists keeps its place in the order of `list`."""
        with self.transaction():
            self._db.execute(
                "INSERT INTO entries (kind, key, value) VALUES (?, ?, ?)"
                " ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value",
                (kind, key, json.dumps(value)),
            )

    def delete(self, kind: str, key: str) -> bool:
        """Remove the value; False if there was none."""
        with self.transaction():
            return self._db.execute("DELETE FROM entries WHERE kind = ? AND key = ?", (kind, key)).rowcount > 0

    def list(self, kind: str, prefix: str = "") -> list[tuple[str, dict[str, Any]]]:
        """Keys that start with `prefix` and their values, oldest key first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT key, value FROM entries WHERE kind = ? AND substr(key, 1, ?) = ? ORDER BY position",
                (kind, len(prefix), prefix),
            ).fetchall()
        return [(key, json.loads(value)) for key, value in rows]

    def keys(self, kind: str) -> Sequence[str]:
        """All keys of a kind, oldest first."""
        with self._lock:
            rows = self._db.execute("SELECT key FROM entries WHERE kind = ? ORDER BY position", (kind,)).fetchall()
        return [key for (key,) in rows]

    def next_id(self, name: str) -> int:
        """1, 2, 3 … for each name; a number is never given twice, not even after a restart."""
        with self.transaction():
            row = self._db.execute(
                "INSERT INTO counters (name, value) VALUES (?, 1)"
                " ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
                (name,),
            ).fetchone()
        return int(row[0])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside become one transaction, undone when the block raises. May be nested."""
        with self._lock:
            if self._depth == 0:
                self._db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._db.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file; the store can't be used afterwards."""
        with self._lock:
            self._db.close()
