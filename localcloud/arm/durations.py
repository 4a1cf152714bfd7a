"""How long Azure takes to create and delete, in seconds: the middles of ranges that were measured or experienced.

Measured: groups and namespaces (turbot/steampipe-plugin-azure#226); a namespace with hub and rule takes 165 to 320 s up
and down (terraform-provider-azurerm#32573), a workspace 590 to 690 s (#32676). The rest is experience.
"""

from collections.abc import Iterable

from localcloud.arm import authorization, consumption, databricks, event_hubs, ids, storage

# Create, delete.
_SECONDS = {
    # An empty group; else it takes as long as what is in it.
    ids.GROUP: (3.0, 3.0),
    event_hubs.NAMESPACE: (77.0, 40.0),
    event_hubs.HUB: (5.5, 5.5),
    event_hubs.CONSUMER_GROUP: (5.5, 5.5),
    event_hubs.RULE: (5.5, 5.5),
    storage.ACCOUNT: (25.0, 2.0),
    storage.CONTAINER: (2.0, 2.0),
    storage.POLICY: (2.0, 2.0),
    databricks.WORKSPACE: (240.0, 270.0),
    databricks.CONNECTOR: (12.5, 12.5),
    authorization.ASSIGNMENT: (13.5, 13.5),
    consumption.BUDGET: (3.5, 3.5),
}
_BY_TYPE = {type.lower(): seconds for type, seconds in _SECONDS.items()}
_AT_ONCE = (0.0, 0.0)


def creation(type: str) -> float:
    """Seconds until a resource of this type is created."""
    return _BY_TYPE.get(type.lower(), _AT_ONCE)[0]


def deletion(types: Iterable[str]) -> float:
    """Seconds until resources of these types, one inside the other, are deleted: they go at the same time."""
    return max((_BY_TYPE.get(type.lower(), _AT_ONCE)[1] for type in types), default=0.0)
