"""The files and the command line of one namespace's Kafka broker: KRaft, one node, loopback."""

import base64
import os
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from localcloud import java_properties, ports, private
from localcloud.cluster.conf import spark_home
from localcloud.eventhubs import guard
from localcloud.settings import Settings

_LOG4J = """\
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{yyyy-MM-dd HH:mm:ss} %p %m%n%ex{3}
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = info
"""
PROPERTIES = "server.properties"
STARTED = "Kafka Server started"  # what KafkaRaftServer logs when it is ready


@dataclass(frozen=True)
class Launch:
    """One start of a broker: its administrator's port and password, made anew each time, and its clients' listener."""

    command: list[str]
    admin_port: int
    password: str
    listener: str


def prepare(settings: Settings, folder: Path, port: int) -> Launch:
    """Write the broker's files and say how to start it. The password is in a file of mode 0600, never in argv."""
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    meta = data / "meta.properties"
    if not meta.exists():
        # All that formatting does for a broker without bootstrap records, without another JVM's 1.6 s.
        private.write(meta, f"version=1\ncluster.id={_kafka_id()}\nnode.id=1\n")
    admin_port = ports.free()
    password = token_hex(32)
    # A name of its own for each start: opening a listener leaves a setting behind that must not open the next one.
    listener = f"CLIENT{token_hex(4)}".upper()
    listeners = {listener: port, "ADMIN": admin_port, "CONTROLLER": ports.free()}
    private.write(folder / PROPERTIES, _properties(data, listeners, listener, password))
    private.write(folder / "log4j2.properties", _LOG4J)
    command = [
        str(settings.python),
        "-IS",
        guard.__file__,
        str(settings.java),
        "-Xmx256m",
        # Without memory it would go on in part; ended, it is started again by the next connection.
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",
        f"-Dlog4j2.configurationFile={(folder / 'log4j2.properties').as_uri()}",
        f"-Djava.io.tmpdir={tempfile.gettempdir()}",
        "-cp",
        os.pathsep.join([*_logging_jars(), str(settings.kafka_jars / "*")]),
        "kafka.Kafka",
        str(folder / PROPERTIES),
    ]
    return Launch(command, admin_port, password, listener)


def _properties(data: Path, ports: dict[str, int], listener: str, password: str) -> str:
    plain = (
        "org.apache.kafka.common.security.plain.PlainLoginModule required "
        f'username="admin" password="{password}" user_admin="{password}";'
    )
    name = listener.lower()
    listeners = [f"{each}://127.0.0.1:{port}" for each, port in ports.items()]
    return f"""\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{ports["CONTROLLER"]}
listeners={",".join(listeners)}
advertised.listeners={",".join(listeners[:-1])}
listener.security.protocol.map={",".join(f"{each}:SASL_PLAINTEXT" for each in ports)}
inter.broker.listener.name=ADMIN
controller.listener.names=CONTROLLER
sasl.mechanism.controller.protocol=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.controller.sasl.enabled.mechanisms=PLAIN
listener.name.controller.plain.sasl.jaas.config={plain}
listener.name.admin.sasl.enabled.mechanisms=PLAIN
listener.name.admin.plain.sasl.jaas.config={plain}
listener.name.{name}.sasl.enabled.mechanisms=SCRAM-SHA-256
listener.name.{name}.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
# Clients wait in the accept queue until topics, users and ACLs are in place: a refused login would be final for them.
listener.name.{name}.max.connections=0
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:admin
log.dirs={java_properties.escape(str(data))}
auto.create.topics.enable=false
# Event Hubs refuses events above 1 MB.
message.max.bytes=1048576
# An event's time is when the hub received it.
log.message.timestamp.type=LogAppendTime
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
# A hub's bytes are bounded (access.py): look often, and delete at once.
log.retention.check.interval.ms=30000
log.segment.delete.delay.ms=1000
log.cleaner.dedupe.buffer.size=4194304
"""


def _logging_jars() -> list[str]:
    """Kafka's artifacts bring no SLF4J binding, and without one a broker that fails says nothing; pyspark has one."""
    jars = spark_home() / "jars"
    return [str(jar) for pattern in ("slf4j-api-2*.jar", "log4j-slf4j2-impl-*.jar") for jar in jars.glob(pattern)]


def _kafka_id() -> str:
    """A random id in Kafka's form: 22 characters of base64, not starting with a dash."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text
