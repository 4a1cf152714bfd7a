"""A local cloud in the test's own process, and programs that the real Pulumi engine runs against it."""

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import toolchain
from localcloud.arm import Arm
from localcloud.settings import Settings
from localcloud.store import Store


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A state folder of the test's own; tools that a test without Spark and Kafka never starts."""
    return Settings(
        state=tmp_path / "state",
        java=Path("java"),
        spark_jars=tmp_path / "no-spark-jars",
        kafka_jars=tmp_path / "no-kafka-jars",
        python=Path(sys.executable),
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "cloud.db")
    yield store
    store.close()


@pytest.fixture
def arm(store: Store) -> Arm:
    """An Azure Resource Manager whose calendar says 15 May 2026."""
    return Arm(store, today=lambda: date(2026, 5, 15))


@pytest.fixture
def group(arm: Arm) -> str:
    """The id of an empty resource group in West Europe."""
    subscription = arm.client_config()["subscriptionId"]
    return arm.put(f"/subscriptions/{subscription}/resourceGroups/rg", {"location": "westeurope"})["id"]


@dataclasses.dataclass
class Engine:
    """The real Pulumi engine, with its own home and backend, attached to providers by port."""

    home: Path
    ports: dict[str, int]

    def stack(self, program: Callable[[], None], config: dict[str, str] | None = None) -> Any:
        from pulumi import automation

        for name in ("home", "backend"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        env = {
            "PULUMI_HOME": str(self.home / "home"),
            "PULUMI_BACKEND_URL": f"file://{self.home / 'backend'}",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_DEBUG_PROVIDERS": ",".join(f"{name}:{port}" for name, port in self.ports.items()),
        }
        stack = automation.create_or_select_stack(
            stack_name="dev",
            project_name="azure",
            program=program,
            opts=automation.LocalWorkspaceOptions(env_vars=env),
        )
        for key, value in (config or {}).items():
            stack.set_config(key, automation.ConfigValue(value))
        return stack


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, int]], Engine]:
    """An engine for the providers at these ports."""
    monkeypatch.setenv("PATH", f"{toolchain.pulumi().parent}{os.pathsep}{os.environ['PATH']}")
    return lambda ports: Engine(tmp_path / "engine", ports)


@pytest.fixture
def endpoint() -> Callable[[Settings], dict[str, Any]]:
    """What a running cloud announces."""
    return lambda settings: json.loads((settings.state / "endpoint.json").read_text())
