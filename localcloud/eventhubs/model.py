"""What this room needs to know of a namespace."""

from collections.abc import Collection, Sequence
from typing import Protocol


class Hub(Protocol):
    """An event hub."""

    @property
    def name(self) -> str:
        """Its name, and its topic's."""

    @property
    def partitions(self) -> int:
        """How many partitions it has."""

    @property
    def retention_hours(self) -> int:
        """How long events are kept."""


class Rule(Protocol):
    """An authorization rule of a hub."""

    @property
    def name(self) -> str:
        """The rule's name."""

    @property
    def hub(self) -> str:
        """The hub's name."""

    @property
    def key(self) -> str:
        """The primary key."""

    @property
    def rights(self) -> Collection[str]:
        """Of Send, Listen and Manage."""


class Namespace(Protocol):
    """An Event Hubs namespace."""

    @property
    def name(self) -> str:
        """Its name, unique in the world."""

    @property
    def port(self) -> int:
        """The loopback port of its Kafka endpoint."""

    @property
    def hubs(self) -> Sequence[Hub]:
        """Its hubs."""

    @property
    def rules(self) -> Sequence[Rule]:
        """Its hubs' rules."""
