"""What the data planes (broker, storage, workspaces) need to know of the resources."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Hub:
    """An event hub. retention_hours: how long it keeps an event."""

    name: str
    partitions: int
    retention_hours: int


@dataclass(frozen=True)
class Rule:
    """An authorization rule of a hub. rights: among Send, Listen, Manage."""

    name: str
    hub: str
    key: str
    rights: tuple[str, ...]


@dataclass(frozen=True)
class Namespace:
    """An Event Hubs namespace with a Kafka endpoint at 127.0.0.1:port (so never one of the Basic tier)."""

    id: str
    name: str
    port: int
    hubs: tuple[Hub, ...]
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Container:
    """A blob container. account_keys: empty when the account permits no access by key."""

    account: str
    name: str
    account_keys: tuple[str, ...]


@dataclass(frozen=True)
class WorkspaceInfo:
    """A Databricks workspace. url: its host name, without a scheme."""

    resource_id: str
    workspace_id: str
    url: str
