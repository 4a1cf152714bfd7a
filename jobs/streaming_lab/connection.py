"""From one Event Hubs connection string to every Kafka option that Spark needs.

Event Hubs speaks the Kafka protocol, so Spark's own `kafka` source and sink are all it takes. Three services are told
apart by the connection string alone:

- Azure: TLS on port 9093, the user is the word `$ConnectionString` and the password is the whole string.
- Microsoft's Event Hubs emulator (`UseDevelopmentEmulator=true`): the same without TLS, on port 9092.
- a broker with SCRAM users (`SaslMechanism=SCRAM-SHA-256`): the user is `<hub>/<rule>`, the password is the rule's key.
"""

import os
import re

from py4j.protocol import Py4JJavaError

_REQUIRED = {
    "endpoint": "Endpoint",
    "sharedaccesskeyname": "SharedAccessKeyName",
    "sharedaccesskey": "SharedAccessKey",
    "entitypath": "EntityPath",
}
_OPTIONAL = {"usedevelopmentemulator": "UseDevelopmentEmulator", "saslmechanism": "SaslMechanism"}
_SCRAM = "SCRAM-SHA-256"
_ENDPOINT = re.compile(r"sb://(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::(?P<port>\d{1,5}))?/?")

# Azure drops a TCP connection that was idle for 240 s, and answers a request within 60 s
# (Microsoft: "Recommended configurations for Apache Kafka clients").
_CLIENT = {
    "kafka.request.timeout.ms": "60000",
    "kafka.metadata.max.age.ms": "180000",
    "kafka.connections.max.idle.ms": "180000",
}


class ConnectionStringError(ValueError):
    """A connection string that cannot be used. The message names the part at fault and never holds a value."""


def from_secret(scope: str, key: str) -> str:
    """The connection string under `key` of a secret scope; SystemExit with one sentence where it is of no use."""
    from databricks.sdk.errors.base import DatabricksError

    try:
        # A cluster's own; elsewhere the import asks for a workspace, and fails where none is known.
        from databricks.sdk.runtime import dbutils

        connection_string = str(dbutils.secrets.get(scope=scope, key=key))
        kafka_options(connection_string)
    except (DatabricksError, Py4JJavaError, ValueError) as error:
        reason = error.java_exception.getMessage() if isinstance(error, Py4JJavaError) else error
        raise SystemExit(f"The secret {key} of scope {scope} is of no use: {reason}") from None
    return connection_string


def hub_name(connection_string: str) -> str:
    """The event hub (the Kafka topic) that the connection string names in EntityPath."""
    return _parts(connection_string)["entitypath"]


def kafka_options(connection_string: str) -> dict[str, str]:
    """Every option about the connection, alike for source and sink; ConnectionStringError if it is malformed."""
    parts = _parts(connection_string)
    endpoint = _ENDPOINT.fullmatch(parts["endpoint"])
    if endpoint is None:
        raise ConnectionStringError(
            "The connection string's Endpoint is not of the form sb://host/ or sb://host:port/."
        )
    emulator = parts.get("usedevelopmentemulator", "false").lower() == "true"
    mechanism = parts.get("saslmechanism", "PLAIN").upper()
    if mechanism not in ("PLAIN", _SCRAM):
        raise ConnectionStringError(f"The connection string's SaslMechanism is neither PLAIN nor {_SCRAM}.")
    if mechanism == _SCRAM:
        module = "scram.ScramLoginModule"
        user, password = f"{parts['entitypath']}/{parts['sharedaccesskeyname']}", parts["sharedaccesskey"]
    else:
        module, user, password = "plain.PlainLoginModule", "$ConnectionString", connection_string.strip()
    port = endpoint["port"] or ("9092" if emulator else "9093")
    return {
        "kafka.bootstrap.servers": f"{endpoint['host']}:{port}",
        "kafka.security.protocol": "SASL_PLAINTEXT" if emulator or mechanism == _SCRAM else "SASL_SSL",
        "kafka.sasl.mechanism": mechanism,
        "kafka.sasl.jaas.config": (
            f"{_shaded()}org.apache.kafka.common.security.{module} required "
            f'username="{_quoted(user)}" password="{_quoted(password)}";'
        ),
        **_CLIENT,
    }


def read_options(connection_string: str, consumer_group: str) -> dict[str, str]:
    """Options to read the hub from its first event on, headers included.

    Each query makes group ids of its own that start with the consumer group: a fixed `kafka.group.id` shared by two
    queries would hand each of them only some of the partitions.
    """
    return {
        **kafka_options(connection_string),
        "subscribe": hub_name(connection_string),
        "groupIdPrefix": consumer_group,
        "startingOffsets": "earliest",
        "includeHeaders": "true",
    }


def write_options(connection_string: str) -> dict[str, str]:
    """Options to send to the hub.

    Event Hubs closes a connection on a request above 1,046,528 bytes. No compression: only its Premium and Dedicated
    tiers take it (and gzip alone). The Kafka client's idempotence, on by default, is supported and stays on.
    """
    return {
        **kafka_options(connection_string),
        "topic": hub_name(connection_string),
        "kafka.max.request.size": "1000000",
    }


def _parts(connection_string: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for number, part in enumerate(filter(None, (p.strip() for p in connection_string.split(";"))), start=1):
        name, equals, value = part.partition("=")
        key = name.strip().lower()
        if not equals or key not in _REQUIRED | _OPTIONAL:
            known = ", ".join((_REQUIRED | _OPTIONAL).values())
            raise ConnectionStringError(
                f"Part {number} of the connection string is not NAME=VALUE with one of {known}."
            )
        if key in parts:
            raise ConnectionStringError(f"The connection string names {(_REQUIRED | _OPTIONAL)[key]} twice.")
        parts[key] = value.strip()
    for key, name in _REQUIRED.items():
        if not parts.get(key):
            hint = ": take it from a rule of the hub, not of the namespace" if key == "entitypath" else ""
            raise ConnectionStringError(f"The connection string has no {name}{hint}.")
    return parts


def _shaded() -> str:
    """Databricks renames the packages of the Kafka client that its runtime carries."""
    return "kafkashaded." if os.environ.get("DATABRICKS_RUNTIME_VERSION") else ""


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
