"""Microsoft.EventHub: namespaces, hubs, consumer groups and authorization rules.

Limits by tier: azure-docs articles/event-hubs/includes/event-hubs-quotas.md (2022). Codes and SubCode=40000:
articles/event-hubs/resource-manager-exceptions.md.
"""

from dataclasses import dataclass
from typing import Any

from localcloud.arm import names
from localcloud.arm.ids import ResourceId
from localcloud.arm.kind import Kind, bad_request, flag, whole_number
from localcloud.arm.views import Hub, Namespace, Rule
from localcloud.arm.world import Document, World
from localcloud.errors import AzureError

NAMESPACE = "Microsoft.EventHub/namespaces"
HUB = f"{NAMESPACE}/eventhubs"
CONSUMER_GROUP = f"{HUB}/consumergroups"
RULE = f"{HUB}/authorizationRules"

_KEY_BYTES = 32
_INNER = r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"
_INNER_WORDS = "letters, digits, '.', '-' and '_', a letter or digit at both ends"


@dataclass(frozen=True)
class _Tier:
    partitions: int
    consumer_groups: int
    retention_hours: int
    hubs: int


_TIERS = {
    "Basic": _Tier(partitions=32, consumer_groups=1, retention_hours=24, hubs=10),
    "Standard": _Tier(partitions=32, consumer_groups=20, retention_hours=7 * 24, hubs=10),
    "Premium": _Tier(partitions=100, consumer_groups=100, retention_hours=90 * 24, hubs=100),
}
_UNITS_AT_MOST = 40
# Of each hub: event-hubs-quotas.md counts a namespace's own rules. Those of a hub are a list of their own with the same
# limit, as for every entity of this platform (azure-docs service-bus-quotas.md: "per namespace, queue, or topic").
_RULES_AT_MOST = 12


def _tier(world: World, namespace: ResourceId) -> _Tier:
    return _TIERS[_sku(world, namespace)]


def _sku(world: World, namespace: ResourceId) -> str:
    document = world.find(namespace.text)
    return str(document["sku"]["name"]) if document else "Standard"


def _ancestor(rid: ResourceId) -> ResourceId:
    parent = rid.parent
    return rid if parent is None else _ancestor(parent)


class NamespaceKind(Kind):
    """The account for hubs; its name is part of a public host name."""

    type = NAMESPACE
    tracked = True

    def check_name(self, rid: ResourceId) -> None:
        """6-50 characters, unique in the world."""
        names.check_name(
            rid.name,
            "Event Hubs namespace",
            r"[a-zA-Z][-a-zA-Z0-9]*[a-zA-Z0-9]",
            (6, 50),
            "letters, digits and hyphens, a letter first and a letter or digit last",
        )
        names.check_reserved(rid.name)

    def put(self, world: World, rid: ResourceId, body: Document, old: Document | None) -> Document:
        """Tier rules; the tier can't change to or from Premium."""
        taken = [one for one in world.of_type(NAMESPACE) if one["name"].lower() == rid.name.lower()]
        if old is None and taken:
            # The service's own text; its correlation id differs from request to request.
            raise bad_request(
                "The specified name is not available. For more information visit "
                "https://aka.ms/eventhubsarmexceptions. CorrelationId: 00000000-0000-0000-0000-000000000000"
            )
        sku = body.get("sku") or {"name": "Standard"}
        name = sku["name"]
        if name not in _TIERS:
            raise bad_request(f"SubCode=40000. The SKU '{name}' is not one of {', '.join(_TIERS)}.")
        if sku.get("tier", name) != name:
            raise bad_request(f"SubCode=40000. The tier '{sku['tier']}' doesn't match the SKU '{name}'.")
        capacity = whole_number(sku, "capacity", 1)
        if not 1 <= capacity <= _UNITS_AT_MOST:
            raise bad_request(f"SubCode=40000. The capacity {capacity} is not between 1 and {_UNITS_AT_MOST} units.")
        properties = dict(body.get("properties", {}))
        inflate = flag(properties, "isAutoInflateEnabled", False)
        most = whole_number(properties, "maximumThroughputUnits", 0)
        if inflate and name == "Basic":
            raise bad_request("SubCode=40000. Auto-inflate is not available in the Basic tier.")
        if not 0 <= most <= _UNITS_AT_MOST:
            raise bad_request(f"SubCode=40000. maximumThroughputUnits {most} is not between 0 and {_UNITS_AT_MOST}.")
        if name == "Basic" and flag(properties, "kafkaEnabled", False):
            raise bad_request("SubCode=40000. The Kafka endpoint is not available in the Basic tier.")
        if old and "Premium" in (old["sku"]["name"], name) and old["sku"]["name"] != name:
            raise bad_request(f"SubCode=40000. The SKU can't change from {old['sku']['name']} to {name}.")
        if old and name == "Basic":
            self._check_downgrade(world, rid)
        return {
            "location": body["location"],
            "tags": body.get("tags", {}),
            "sku": {"name": name, "tier": name, "capacity": capacity},
            **({"identity": body["identity"]} if "identity" in body else {}),
            "properties": {
                "minimumTlsVersion": "1.2",
                "publicNetworkAccess": "Enabled",
                "disableLocalAuth": False,
                "zoneRedundant": True,
                **properties,
                "isAutoInflateEnabled": inflate,
                "maximumThroughputUnits": most,
                "kafkaEnabled": name != "Basic",
                "provisioningState": "Succeeded",
                "status": "Active",
                "metricId": f"{world.account.subscription_id}:{rid.name.lower()}",
                "serviceBusEndpoint": f"https://{rid.name}.servicebus.windows.net:443/",
            },
        }

    def _check_downgrade(self, world: World, rid: ResourceId) -> None:
        basic = _TIERS["Basic"]
        for hub in world.children(rid.text, HUB):
            if len(world.children(hub["id"], CONSUMER_GROUP)) > basic.consumer_groups:
                raise bad_request(
                    f"SubCode=40000. Event hub '{hub['name']}' has more than {basic.consumer_groups} consumer group, "
                    "which the Basic tier does not allow."
                )
            hours = hub["properties"]["retentionDescription"]["retentionTimeInHours"]
            if hours > basic.retention_hours:
                raise bad_request(
                    f"SubCode=40000. Event hub '{hub['name']}' keeps events for {hours} hours, but the Basic tier "
                    f"allows {basic.retention_hours}."
                )


class HubKind(Kind):
    """An event hub. A new one has the consumer group $Default."""

    type = HUB

    def check_name(self, rid: ResourceId) -> None:
        """1-256 characters."""
        names.check_name(rid.name, "event hub", _INNER, (1, 256), _INNER_WORDS)

    def put(self, world: World, rid: ResourceId, body: Document, old: Document | None) -> Document:
        """Partitions and retention within the tier; partitions are fixed below Premium, the clean-up policy always."""
        namespace = _ancestor(rid)
        sku, tier = _sku(world, namespace), _tier(world, namespace)
        if old is None and len(world.children(namespace.text, HUB)) >= tier.hubs:
            raise AzureError(
                409, "Conflict", f"The namespace '{namespace.name}' has {tier.hubs} event hubs, which is the limit."
            )
        given = dict(body.get("properties", {}))
        was = old["properties"] if old else {}
        # The defaults of a request that leaves them out: 4 partitions, the tier's longest retention up to a week.
        partitions = whole_number(given, "partitionCount", was.get("partitionCount", 4))
        if not 1 <= partitions <= tier.partitions:
            raise bad_request(
                f"SubCode=40000. The partition count {partitions} of event hub '{rid.name}' is not between 1 and "
                f"{tier.partitions}, the limit of the {sku} tier."
            )
        if old and partitions != was["partitionCount"] and (sku != "Premium" or partitions < was["partitionCount"]):
            raise bad_request(
                f"SubCode=40000. PartitionCount of event hub '{rid.name}' can't be changed from "
                f"{was['partitionCount']} to {partitions}."
            )
        policy, hours = _retention(given, was, tier)
        if not 1 <= hours <= tier.retention_hours:
            raise bad_request(
                f"SubCode=40000. The retention of {hours} hours of event hub '{rid.name}' is not between 1 and "
                f"{tier.retention_hours} hours, the limit of the {sku} tier."
            )
        if policy == "Compact" and sku == "Basic":
            raise bad_request("SubCode=40000. Log compaction is not available in the Basic tier.")
        if old and policy != was["retentionDescription"]["cleanupPolicy"]:
            raise bad_request(f"SubCode=40000. The cleanup policy of event hub '{rid.name}' can't be changed.")
        given.pop("retentionDescription", None)
        return {
            "properties": {
                "status": "Active",
                **given,
                "partitionCount": partitions,
                "partitionIds": [str(number) for number in range(partitions)],
                "messageRetentionInDays": max(1, hours // 24),
                "retentionDescription": {"cleanupPolicy": policy, "retentionTimeInHours": hours},
            }
        }


def _retention(given: dict[str, Any], was: dict[str, Any], tier: _Tier) -> tuple[str, int]:
    described = given.get("retentionDescription") or {}
    before = was.get("retentionDescription", {})
    policy = str(described.get("cleanupPolicy", before.get("cleanupPolicy", "Delete")))
    if "retentionTimeInHours" in described:
        return policy, whole_number(described, "retentionTimeInHours", 0)
    if "messageRetentionInDays" in given:
        return policy, whole_number(given, "messageRetentionInDays", 0) * 24
    return policy, int(before.get("retentionTimeInHours", min(7 * 24, tier.retention_hours)))


class ConsumerGroupKind(Kind):
    """A consumer group; $Default counts, so the Basic tier has no room for another."""

    type = CONSUMER_GROUP

    def check_name(self, rid: ResourceId) -> None:
        """1-50 characters."""
        if rid.name != "$Default":
            names.check_name(rid.name, "consumer group", _INNER, (1, 50), _INNER_WORDS)

    def put(self, world: World, rid: ResourceId, body: Document, old: Document | None) -> Document:
        """As many as the tier allows."""
        namespace = _ancestor(rid)
        hub = rid.parent
        tier = _tier(world, namespace)
        if hub and old is None and len(world.children(hub.text, CONSUMER_GROUP)) >= tier.consumer_groups:
            raise bad_request(
                f"SubCode=40000. Event hub '{hub.name}' can't have the consumer group '{rid.name}': the "
                f"{_sku(world, namespace)} tier allows {tier.consumer_groups}, $Default included."
            )
        return {"properties": dict(body.get("properties", {}))}


class RuleKind(Kind):
    """A shared access key with rights on one hub."""

    type = RULE

    def check_name(self, rid: ResourceId) -> None:
        """1-50 characters."""
        names.check_name(rid.name, "authorization rule", _INNER, (1, 50), _INNER_WORDS)

    def put(self, world: World, rid: ResourceId, body: Document, old: Document | None) -> Document:
        """At most 12 rules; Manage needs Send and Listen (azure-docs authorize-access-shared-access-signature.md)."""
        rights = list(body.get("properties", {}).get("rights", []))
        if not rights or not set(rights) <= {"Send", "Listen", "Manage"}:
            raise bad_request(
                f"SubCode=40000. The rights of rule '{rid.name}' are {rights}, not some of Send, Listen, Manage."
            )
        if "Manage" in rights and not {"Send", "Listen"} <= set(rights):
            raise bad_request(f"SubCode=40000. The right Manage of rule '{rid.name}' needs Send and Listen as well.")
        hub = rid.parent
        if hub and old is None and len(world.children(hub.text, RULE)) >= _RULES_AT_MOST:
            raise bad_request(f"SubCode=40000. Event hub '{hub.name}' has {_RULES_AT_MOST} rules, which is the limit.")
        return {"properties": {"rights": rights}}


def rule_keys(world: World, rid: ResourceId) -> dict[str, str]:
    """What `listKeys` answers. The connection string looks like the one of Microsoft's emulator, and says which
    SASL mechanism the local broker speaks.
    """
    namespace, hub = _ancestor(rid), rid.parent
    first, second = world.keys(rid.text, _KEY_BYTES)
    start = f"Endpoint=sb://127.0.0.1:{world.port(namespace.text)};SharedAccessKeyName={rid.name};SharedAccessKey="
    end = f";UseDevelopmentEmulator=true;EntityPath={hub.name if hub else ''};SaslMechanism=SCRAM-SHA-256"
    return {
        "keyName": rid.name,
        "primaryKey": first,
        "secondaryKey": second,
        "primaryConnectionString": f"{start}{first}{end}",
        "secondaryConnectionString": f"{start}{second}{end}",
    }


def namespaces(world: World) -> list[Namespace]:
    """The namespaces that have a Kafka endpoint."""
    found = [one for one in world.of_type(NAMESPACE) if one["properties"]["kafkaEnabled"]]
    return [
        Namespace(
            id=one["id"],
            name=one["name"],
            port=world.port(one["id"]),
            hubs=tuple(
                Hub(
                    name=hub["name"],
                    partitions=hub["properties"]["partitionCount"],
                    retention_hours=hub["properties"]["retentionDescription"]["retentionTimeInHours"],
                )
                for hub in world.children(one["id"], HUB)
            ),
            # With local authentication off keys are still listed, but open nothing (azure-sdk-for-js#32923).
            rules=() if flag(one["properties"], "disableLocalAuth", False) else _rules(world, one["id"]),
        )
        for one in found
    ]


def _rules(world: World, namespace: str) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            name=rule["name"],
            hub=hub["name"],
            key=world.keys(rule["id"], _KEY_BYTES)[0],
            rights=tuple(rule["properties"]["rights"]),
        )
        for hub in world.children(namespace, HUB)
        for rule in world.children(hub["id"], RULE)
    )
