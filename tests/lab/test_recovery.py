"""After a killed engine: the cloud is asked about every create that was begun, and the record is put right."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.recovery import finish_interrupted
from lab.state import State

HUB = {
    "urn": "urn:pulumi:dev::streaming-lab::azure-native:eventhub:EventHub::hub",
    "type": "azure-native:eventhub:EventHub",
    "custom": True,
    "inputs": {"resourceGroupName": "rg", "namespaceName": "ns", "eventHubName": "events"},
}
ACCOUNT = {
    "urn": "urn:pulumi:dev::streaming-lab::azure-native:storage:StorageAccount::account",
    "type": "azure-native:storage:StorageAccount",
    "custom": True,
    "inputs": {"resourceGroupName": "rg", "accountName": "st"},
}
HUB_ID = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.EventHub/namespaces/ns/eventhubs/events"


class FakeEngine:
    """An engine whose stack has this deployment; keeps what is imported."""

    student = "dev"

    def __init__(self, folder, deployment):
        self.cloud = SimpleNamespace(folder=folder)
        self.deployment = deployment
        self.commands = []

    def command(self, *words):
        self.commands.append(words)
        if words[:2] == ("stack", "import"):
            self.deployment = json.loads(Path(words[3]).read_text())["deployment"]
        return json.dumps({"version": 3, "deployment": self.deployment})


@pytest.fixture
def interrupted(tmp_path, report):
    """Finish an interrupted run where the cloud has these ids; gives the engine."""

    def finish(pending, has, resources=()):
        engine = FakeEngine(tmp_path, {"resources": list(resources), "pending_operations": pending})
        arm = SimpleNamespace(subscription="s", exists=lambda identity: identity in has)
        cloud = SimpleNamespace(arm=lambda: arm)
        finish_interrupted(engine, cloud, State(list(resources), pending), report)
        return engine

    return finish


def creating(*resources):
    return [{"type": "creating", "resource": resource} for resource in resources]


def test_what_the_cloud_has_is_adopted_and_the_rest_forgotten(interrupted, report, tmp_path):
    updating = {"type": "updating", "resource": {"urn": "urn:other", "type": "t"}}
    engine = interrupted([*creating(HUB, ACCOUNT), updating], {HUB_ID})
    assert engine.deployment["resources"] == [{**HUB, "id": HUB_ID}]
    assert engine.deployment["pending_operations"] == [updating]
    assert engine.commands[-1] == ("refresh", "--yes", "--skip-preview", "--target", HUB["urn"])
    assert report.lines == [("resumed", "an interrupted run; 1 of its 2 open creates had succeeded")]
    assert list(tmp_path.glob("*.import.json")) == []


def test_a_replacement_under_way_is_left_to_the_engine(interrupted):
    engine = interrupted(creating(HUB), {HUB_ID}, [{**HUB, "id": HUB_ID}])
    assert engine.deployment == {"resources": [{**HUB, "id": HUB_ID}], "pending_operations": []}
    assert [words[:2] for words in engine.commands] == [("stack", "export"), ("stack", "import")]


def test_where_nothing_was_interrupted_no_command_is_run(interrupted, report):
    assert interrupted([], set()).commands == []
    assert report.lines == []
