"""After a killed engine: the cloud is asked about every create that was begun, and the record is put right."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.arm import Arm
from lab.recovery import ARM_IDS, finish_interrupted, forget_lost_workspace, remember_failed
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
def interrupted(tmp_path, report, monkeypatch):
    """Finish an interrupted run where the cloud has these resources, by id; gives the engine."""

    def finish(pending, has, resources=()):
        engine = FakeEngine(tmp_path, {"resources": list(resources), "pending_operations": pending})
        arm = Arm("http://127.0.0.1:1", "s", lambda: "token", poll_seconds=0)
        monkeypatch.setattr(arm, "get", lambda identity: has(identity) if callable(has) else has.get(identity))
        engine.cloud.arm = lambda: arm
        engine.adopted = finish_interrupted(engine, engine.cloud, State(list(resources), pending), report)
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


# What each type that the program makes is named by.
INPUTS = {
    "resourceGroupName": "rg",
    "namespaceName": "ns",
    "eventHubName": "events",
    "consumerGroupName": "readers",
    "authorizationRuleName": "send",
    "accountName": "st",
    "containerName": "lab",
    "workspaceName": "dbw",
    "connectorName": "dbac",
    "scope": "/subscriptions/s",
    "roleAssignmentName": "guid",
    "budgetName": "budget",
}


@pytest.mark.parametrize("moment", ["before", "during", "after"])
@pytest.mark.parametrize("resource_type", ARM_IDS)
def test_a_create_whose_answer_was_lost_is_adopted_if_it_happened(interrupted, tmp_path, report, resource_type, moment):
    lost = {"urn": f"urn:pulumi:dev::streaming-lab::{resource_type}::x", "type": resource_type, "inputs": INPUTS}
    remember_failed(SimpleNamespace(folder=tmp_path), "dev", [lost])
    looks = {"before": [None], "during": ["Accepted", "Creating", "Succeeded"], "after": ["Succeeded"]}[moment]
    asked = []

    def has(identity):
        asked.append(identity)
        state = looks.pop(0)
        return state and {"properties": {"provisioningState": state}}

    engine = interrupted([], has)
    assert looks == []
    adopted = [] if moment == "before" else [{**lost, "id": asked[-1]}]
    assert engine.deployment["resources"] == adopted
    assert engine.adopted == len(adopted)
    # It is asked once: the next call has nothing to do.
    assert interrupted([], {}).commands == []


def test_a_create_that_failed_in_azure_is_not_adopted(interrupted, tmp_path):
    remember_failed(SimpleNamespace(folder=tmp_path), "dev", [HUB])
    engine = interrupted([], {HUB_ID: {"properties": {"provisioningState": "Failed"}}})
    assert (engine.adopted, engine.commands) == (0, [])


def test_where_nothing_was_interrupted_no_command_is_run(interrupted, report):
    assert interrupted([], {}).commands == []
    assert report.lines == []


WORKSPACE_ID = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Databricks/workspaces/dbw"
WORKSPACE = {
    "urn": "urn:pulumi:dev::streaming-lab::azure-native:databricks:Workspace::workspace",
    "type": "azure-native:databricks:Workspace",
    "custom": True,
    "id": WORKSPACE_ID,
}


@pytest.mark.parametrize("there", [True, False])
def test_a_record_forgets_what_was_in_a_lost_workspace_and_names_what_may_remain(tmp_path, there):
    kinds = {
        "databricks:index/storageCredential:StorageCredential": {"name": "lab-dev"},
        "databricks:index/user:User": {"userName": "ada@example.com"},
        "databricks:index/job:Job": {"name": "live"},
    }
    inside = [
        {"urn": f"urn:pulumi:dev::streaming-lab::{kind}::x", "type": kind, "custom": True, "inputs": inputs}
        for kind, inputs in kinds.items()
    ]
    engine = FakeEngine(tmp_path, {"resources": [WORKSPACE, *inside]})
    cloud = SimpleNamespace(arm=lambda: SimpleNamespace(exists=lambda identity: there and identity == WORKSPACE_ID))
    remaining = forget_lost_workspace(engine, cloud, State([WORKSPACE, *inside], []))
    assert remaining == ([] if there else ["storage credential lab-dev", "user ada@example.com"])
    assert engine.deployment["resources"] == ([WORKSPACE, *inside] if there else [WORKSPACE])
