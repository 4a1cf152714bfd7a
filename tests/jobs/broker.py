"""A real Kafka broker for tests, with SCRAM users and ACLs as the lab's hubs have them."""

import secrets
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_END, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

import toolchain

_FLAGS = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


@dataclass(frozen=True)
class Hub:
    """One topic of the broker with a Send and a Listen connection string."""

    name: str
    send: str
    listen: str


class Broker:
    def __init__(self, port: int, password: str) -> None:
        self.port = port
        self._admin = self._client("admin", password)

    def _client(self, user: str, password: str) -> AdminClient:
        return AdminClient(
            {
                "bootstrap.servers": f"127.0.0.1:{self.port}",
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanism": "SCRAM-SHA-256",
                "sasl.username": user,
                "sasl.password": password,
                "log_level": 0,
            }
        )

    def is_ready(self) -> bool:
        try:
            return bool(self._admin.list_topics(timeout=2).brokers)
        except KafkaException:
            return False

    def hub(self, name: str, partitions: int = 2) -> Hub:
        """A new topic with one user that may only write it and one that may only read it."""
        keys = {rule: secrets.token_urlsafe(24) for rule in ("send", "listen")}
        credentials = [
            UserScramCredentialUpsertion(
                f"{name}/{rule}", ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096), key.encode()
            )
            for rule, key in keys.items()
        ]
        topic, group = ResourceType.TOPIC, ResourceType.GROUP
        rights = [
            (topic, name, "send", AclOperation.WRITE),
            (topic, name, "send", AclOperation.DESCRIBE),
            (topic, name, "listen", AclOperation.READ),
            (group, "*", "listen", AclOperation.READ),
        ]
        acls = [
            AclBinding(
                kind, what, ResourcePatternType.LITERAL, f"User:{name}/{rule}", "*", operation, AclPermissionType.ALLOW
            )
            for kind, what, rule, operation in rights
        ]
        for futures in (
            self._admin.create_topics([NewTopic(name, partitions, 1)]),
            self._admin.alter_user_scram_credentials(credentials),
            self._admin.create_acls(acls),
        ):
            for future in futures.values():
                future.result(timeout=30)
        for rule, key in keys.items():
            # It tries again until the broker knows the key.
            self._client(f"{name}/{rule}", key).list_topics(timeout=30)
        return Hub(name, *(self._connection(name, rule, keys[rule]) for rule in ("send", "listen")))

    def forget(self, hub: str, partitions: int = 2) -> None:
        """Delete all events of a topic, as its retention would."""
        everything = [TopicPartition(hub, partition, OFFSET_END) for partition in range(partitions)]
        for future in self._admin.delete_records(everything).values():
            future.result(timeout=30)

    def replace(self, hub: str, partitions: int) -> Hub:
        """Delete a topic and make another one of its name, with other keys, as a changed partition count does."""
        for future in self._admin.delete_topics([hub]).values():
            future.result(timeout=30)
        while hub in self._admin.list_topics(timeout=30).topics:
            pass
        return self.hub(hub, partitions)

    def _connection(self, hub: str, rule: str, key: str) -> str:
        return (
            f"Endpoint=sb://127.0.0.1:{self.port};SharedAccessKeyName={rule};SharedAccessKey={key};"
            f"UseDevelopmentEmulator=true;EntityPath={hub};SaslMechanism=SCRAM-SHA-256"
        )


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker(tmp_path_factory.mktemp("broker")) as running:
        yield running


@contextmanager
def running_broker(folder: Path) -> Iterator[Broker]:
    """Starts Kafka in KRaft mode on two free loopback ports; its log is `kafka.log` in the folder."""
    port, controller, password = _free_port(), _free_port(), secrets.token_urlsafe(24)
    properties = folder / "server.properties"
    properties.write_text(_properties(folder, port, controller, password))
    java = [str(toolchain.java()), *_FLAGS, "-cp", f"{toolchain.jars('kafka')}/*"]
    storage = ["kafka.tools.StorageTool", "format", "-c", str(properties), "-t", "bGFiLWJyb2tlci10ZXN0cw"]
    scram = ["--add-scram", f"SCRAM-SHA-256=[name=admin,password={password}]"]
    subprocess.run([*java, *storage, *scram], check=True, capture_output=True, timeout=120)
    with (folder / "kafka.log").open("wb") as log:
        process = subprocess.Popen([*java, "kafka.Kafka", str(properties)], stdout=log, stderr=log)
    try:
        broker = Broker(port, password)
        while not broker.is_ready():
            if process.poll() is not None:
                raise RuntimeError((folder / "kafka.log").read_text()[-2000:])
        yield broker
    finally:
        process.kill()
        process.wait(timeout=30)


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _properties(folder: Path, port: int, controller: int, password: str) -> str:
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required"
    plain = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    return "\n".join(
        [
            "process.roles=broker,controller",
            "node.id=1",
            f"controller.quorum.voters=1@127.0.0.1:{controller}",
            f"listeners=CLIENT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            "listener.security.protocol.map=CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
            "controller.listener.names=CONTROLLER",
            "inter.broker.listener.name=CLIENT",
            "sasl.enabled.mechanisms=SCRAM-SHA-256",
            "sasl.mechanism.inter.broker.protocol=SCRAM-SHA-256",
            "sasl.mechanism.controller.protocol=PLAIN",
            "listener.name.controller.sasl.enabled.mechanisms=PLAIN",
            f'listener.name.client.scram-sha-256.sasl.jaas.config={scram} username="admin" password="{password}";',
            f'listener.name.controller.plain.sasl.jaas.config={plain} username="admin" password="{password}"'
            f' user_admin="{password}";',
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users=User:admin",
            # As Event Hubs does: an event's time is when the hub received it.
            "log.message.timestamp.type=LogAppendTime",
            "offsets.topic.replication.factor=1",
            "transaction.state.log.replication.factor=1",
            "transaction.state.log.min.isr=1",
            "auto.create.topics.enable=false",
            "group.initial.rebalance.delay.ms=0",
            f"log.dirs={folder / 'data'}",
            "",
        ]
    )
