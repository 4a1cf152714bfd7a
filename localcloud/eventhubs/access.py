"""Hubs as topics, and authorization rules as SCRAM users with ACLs, on a running broker."""

from collections.abc import Collection
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from localcloud.eventhubs.model import Hub, Namespace, Rule

_ITERATIONS = 4096  # Kafka's least; the keys are 256 random bits, not words that a longer hash would protect
_TIMEOUT = 30.0  # seconds

# A hub holds a day of events, which fills a laptop's disk where streams run live: so its oldest segments go earlier.
_HUB_BYTES = 768 << 20
_SEGMENT_BYTES = 16 << 20

_Acl = tuple[str, ResourceType, str, AclOperation]


def user(rule: Rule) -> str:
    """The SCRAM user of a rule, as a connection string names it: entity path, then rule."""
    return f"{rule.hub}/{rule.name}"


class Access:
    """The administrator's side of one running broker."""

    def __init__(self, port: int, password: str) -> None:
        self._admin = AdminClient(
            {
                "bootstrap.servers": f"127.0.0.1:{port}",
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanism": "PLAIN",
                "sasl.username": "admin",
                "sasl.password": password,
                "log_level": 0,
            }
        )
        self._keys: dict[str, str] = {}

    def sync(self, namespace: Namespace, dropped: Collection[str]) -> None:
        """Bring topics, users and ACLs to the namespace's state; ``dropped`` hubs lose their events first."""
        self._sync_topics(namespace, dropped)
        self._sync_users({user(rule): rule.key for rule in namespace.rules})
        self._sync_acls({acl for rule in namespace.rules for acl in _acls(rule)})

    def open(self, listener: str) -> None:
        """Let clients in."""
        limit = ConfigEntry(
            f"listener.name.{listener.lower()}.max.connections",
            "10000",
            incremental_operation=AlterConfigOpType.SET,
        )
        broker = ConfigResource(ConfigResource.Type.BROKER, "1", incremental_configs=[limit])
        _done(self._admin.incremental_alter_configs([broker]))

    def _sync_topics(self, namespace: Namespace, dropped: Collection[str]) -> None:
        topics = {name: topic for name, topic in self._topics().items() if not name.startswith("__")}
        wanted = {hub.name: hub for hub in namespace.hubs}
        gone = [name for name in topics if name not in wanted or name in dropped]
        if gone:
            _done(self._admin.delete_topics(gone, operation_timeout=_TIMEOUT))
            topics = {name: topic for name, topic in topics.items() if name not in gone}
        new = [NewTopic(name, hub.partitions, 1) for name, hub in wanted.items() if name not in topics]
        if new:
            _done(self._admin.create_topics(new, operation_timeout=_TIMEOUT))
        more = [
            NewPartitions(name, wanted[name].partitions)
            for name, topic in topics.items()
            if len(topic.partitions) < wanted[name].partitions
        ]
        if more:
            _done(self._admin.create_partitions(more, operation_timeout=_TIMEOUT))
        if wanted:
            _done(self._admin.incremental_alter_configs([_limited(hub) for hub in wanted.values()]))

    def _topics(self) -> dict[str, Any]:
        return dict(self._admin.list_topics(timeout=_TIMEOUT).topics)

    def _sync_users(self, wanted: dict[str, str]) -> None:
        described: Any = self._admin.describe_user_scram_credentials()
        known = set(described.result(_TIMEOUT))
        mechanism = ScramMechanism.SCRAM_SHA_256
        changes: list[Any] = [
            UserScramCredentialUpsertion(name, ScramCredentialInfo(mechanism, _ITERATIONS), key.encode())
            for name, key in wanted.items()
            if name not in known or self._keys.get(name) != key
        ]
        changes += [UserScramCredentialDeletion(name, mechanism) for name in known - set(wanted)]
        if changes:
            _done(self._admin.alter_user_scram_credentials(changes))
        self._keys = dict(wanted)

    def _sync_acls(self, wanted: set[_Acl]) -> None:
        anyone: Any = None
        everything = AclBindingFilter(
            ResourceType.ANY, anyone, ResourcePatternType.ANY, anyone, anyone, AclOperation.ANY, AclPermissionType.ANY
        )
        bound = self._admin.describe_acls(everything).result(_TIMEOUT)
        known = {(acl.principal, acl.restype, acl.name, acl.operation) for acl in bound}
        if wanted - known:
            _done(self._admin.create_acls([_binding(AclBinding, acl) for acl in wanted - known]))
        if known - wanted:
            _done(self._admin.delete_acls([_binding(AclBindingFilter, acl) for acl in known - wanted]))


def _acls(rule: Rule) -> set[_Acl]:
    """A rule's rights as ACLs: Send writes, Listen reads the hub in any consumer group; Manage is both."""
    principal = f"User:{user(rule)}"
    acls: set[_Acl] = set()
    if {"Send", "Manage"} & set(rule.rights):
        acls |= {(principal, ResourceType.TOPIC, rule.hub, o) for o in (AclOperation.WRITE, AclOperation.DESCRIBE)}
    if {"Listen", "Manage"} & set(rule.rights):
        acls |= {(principal, ResourceType.TOPIC, rule.hub, o) for o in (AclOperation.READ, AclOperation.DESCRIBE)}
        acls.add((principal, ResourceType.GROUP, "*", AclOperation.READ))
    return acls


def _binding(kind: Any, acl: _Acl) -> Any:
    principal, resource, name, operation = acl
    return kind(resource, name, ResourcePatternType.LITERAL, principal, "*", operation, AclPermissionType.ALLOW)


def limits(hub: Hub) -> dict[str, int]:
    """What a hub's topic keeps, as Kafka's settings: milliseconds, and bytes of a partition.

    Kafka drops whole segments, so a partition may have one more than its share.
    """
    return {
        "retention.ms": hub.retention_hours * 3_600_000,
        "retention.bytes": _HUB_BYTES // hub.partitions,
        "segment.bytes": _SEGMENT_BYTES,
    }


def _limited(hub: Hub) -> ConfigResource:
    entries = [
        ConfigEntry(name, str(value), incremental_operation=AlterConfigOpType.SET)
        for name, value in limits(hub).items()
    ]
    return ConfigResource(ConfigResource.Type.TOPIC, hub.name, incremental_configs=entries)


def _done(futures: dict[Any, Any]) -> None:
    """Wait for the broker's answers; one that says that there is nothing to do is no error."""
    for future in futures.values():
        try:
            future.result(_TIMEOUT)
        except KafkaException as error:
            if error.args[0].code() not in (KafkaError.TOPIC_ALREADY_EXISTS, KafkaError.UNKNOWN_TOPIC_OR_PART):
                raise
