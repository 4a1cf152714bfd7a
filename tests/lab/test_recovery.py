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
    """Finish an interrupted run where the cloud has these resources, by id; gives the engine."""

    def finish(pending, has, resources=()):
        engine = FakeEngine(tmp_path, {"resources": list(resources), "pending_operations": pending})
        arm = SimpleNamespace(subscription="s", get=has.get)
        cloud = SimpleNamespace(arm=lambda: arm)
        finish_interrupted(engine, cloud, State(list(resources), pending), report)
        return engine

    return finish


def creating(*resources):
    return [{"type": "creating", "resource": resource} for resource in resources]


def test_what_the_cloud_has_is_adopted_and_the_rest_forgotten(interrupted, report, tmp_path):
    updating = {"type": "updating", "resource": {"urn": "urn:other", "type": "t"}}
    engine = interrupted([*creating(HUB, ACCOUNT), updating], {HUB_ID: {}})
    assert engine.deployment["resources"] == [{**HUB, "id": HUB_ID}]
    assert engine.deployment["pending_operations"] == [updating]
    assert engine.commands[-1] == ("refresh", "--yes", "--skip-preview", "--target", HUB["urn"])
    assert report.lines == [("resumed", "an interrupted run; 1 of its 2 open creates had succeeded")]
    assert list(tmp_path.glob("*.import.json")) == []


def test_a_replacement_under_way_is_left_to_the_engine(interrupted):
    recorded = {**HUB, "id": HUB_ID, "outputs": {"name": "events"}}
    engine = interrupted(creating(HUB), {HUB_ID: {}}, [recorded])
    assert engine.deployment == {"resources": [recorded], "pending_operations": []}
    assert [words[:2] for words in engine.commands] == [("stack", "export"), ("stack", "import")]


@pytest.mark.parametrize(("course", "adopted"), [("dp", 1), ("dp-a", 0)])
def test_a_group_of_the_same_name_is_adopted_only_from_the_same_student_and_course(interrupted, course, adopted):
    group = {
        "urn": "urn:pulumi:dev::streaming-lab::azure-native:resources:ResourceGroup::lab",
        "type": "azure-native:resources:ResourceGroup",
        "custom": True,
        "inputs": {"resourceGroupName": "rg-dp-a-b", "tags": {"student": "a-b", "course": "dp"}},
    }
    student = "a-b" if course == "dp" else "b"
    there = {"tags": {"student": student, "course": course, "by-policy": "x"}}
    engine = interrupted(creating(group), {"/subscriptions/s/resourceGroups/rg-dp-a-b": there})
    assert len(engine.deployment["resources"]) == adopted


def test_what_was_adopted_and_not_yet_read_is_read_by_the_next_call(interrupted):
    read = {**ACCOUNT, "id": "/subscriptions/s/x", "outputs": {"name": "st"}}
    engine = interrupted([], {}, [{**HUB, "id": HUB_ID}, read])
    assert engine.commands == [("refresh", "--yes", "--skip-preview", "--target", HUB["urn"])]


def test_where_nothing_was_interrupted_no_command_is_run(interrupted, report):
    assert interrupted([], {}).commands == []
    assert report.lines == []
