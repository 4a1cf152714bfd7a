"""Rehearsing a class: whether creations and deletions take as long as on Azure."""

from typing import Any

from localcloud.errors import AzureError
from localcloud.store import Store

_KIND = "rehearsal"
_LONGEST = 10


class Rehearsal:
    """The setting. It is kept, and a change holds for all that begins from then on."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def latencies(self) -> float:
        """How long creations and deletions take, as a multiple of Azure's durations; 0, the default: no time."""
        return float((self._store.get(_KIND, "") or {"latencies": 0})["latencies"])

    def set_latencies(self, factor: Any) -> None:
        """Change it. factor: 0 to 10; AzureError 400 for anything else."""
        # In Python, but not in JSON, true and false are numbers.
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 <= factor <= _LONGEST:
            raise AzureError(
                400, "InvalidRequestContent", f"latencies must be a number from 0 (off) to {_LONGEST}, not {factor!r}."
            )
        self._store.put(_KIND, "", {"latencies": float(factor)})
