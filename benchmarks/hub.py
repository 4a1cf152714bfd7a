"""An event hub for the benchmarks: the local cloud's broker, with a Send-only and a Listen-only key."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.spark import settings
from localcloud.arm.views import Hub, Namespace, Rule
from localcloud.eventhubs import EventHubs

HUB = "events"
PARTITIONS = 2
GROUP = "benchmark"
RUN = "benchmark"
"""What the header `lab-run` of the events says."""


@dataclass(frozen=True)
class Endpoint:
    """The hub's port on loopback, and the key of each rule."""

    port: int
    keys: dict[str, str]

    def connection_string(self, rule: str) -> str:
        """As the local cloud gives it to the program."""
        return (
            f"Endpoint=sb://127.0.0.1:{self.port};SharedAccessKeyName={rule};SharedAccessKey={self.keys[rule]};"
            f"UseDevelopmentEmulator=true;EntityPath={HUB};SaslMechanism=SCRAM-SHA-256"
        )

    def client(self, rule: str) -> dict[str, str | int]:
        """Options of a confluent-kafka client with the rule's key."""
        return {
            "bootstrap.servers": f"127.0.0.1:{self.port}",
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-256",
            "sasl.username": f"{HUB}/{rule}",
            "sasl.password": self.keys[rule],
            # It would tell of each try while the broker starts.
            "log_level": 0,
        }


@contextmanager
def running_hub(state: Path) -> Iterator[Endpoint]:
    """A hub without events, on a free port; its broker starts with the first connection."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    endpoint = Endpoint(port, {rule: secrets.token_urlsafe(32) for rule in ("send", "listen")})
    rules = tuple(
        Rule(rule, HUB, endpoint.keys[rule], (right,)) for rule, right in (("send", "Send"), ("listen", "Listen"))
    )
    namespace = Namespace("/benchmark", "benchmark", port, (Hub(HUB, PARTITIONS, 24),), rules)
    hubs = EventHubs(settings(state))
    hubs.reconcile([namespace])
    try:
        yield endpoint
    finally:
        hubs.close()
