"""Which hubs were deleted since the broker last ran; a hub of that name that is made again must begin empty."""

import contextlib
import json
from pathlib import Path

from localcloud import private
from localcloud.eventhubs.model import Namespace


class DeletedHubs:
    """Kept in the broker's folder, with the hubs last seen.

    So it outlives the background process, and a deletion shows that happened as that process was killed.
    """

    def __init__(self, folder: Path, namespace: Namespace) -> None:
        self._path = folder / "hubs.json"
        self._seen: set[str] = set()
        self._names: set[str] = set()
        with contextlib.suppress(OSError, ValueError):
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            self._seen, self._names = set(kept["seen"]), set(kept["deleted"])
        self.note(namespace)

    @property
    def names(self) -> frozenset[str]:
        """Hubs whose events must go before clients come in."""
        return frozenset(self._names)

    def note(self, namespace: Namespace) -> None:
        """Compare with the hubs last seen."""
        hubs = {hub.name for hub in namespace.hubs}
        self._names |= self._seen - hubs
        self._seen = hubs
        self._keep()

    def gone(self) -> None:
        """Their events are deleted."""
        if self._names:
            self._names.clear()
            # First, for a full disk may refuse the rest: what is said to be deleted would be deleted again.
            self._path.unlink(missing_ok=True)
            self._keep()

    def _keep(self) -> None:
        text = json.dumps({"seen": sorted(self._seen), "deleted": sorted(self._names)})
        with contextlib.suppress(OSError):  # it holds as long as this process lives
            private.write(self._path, text)
