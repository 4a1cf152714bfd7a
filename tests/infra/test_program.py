"""Statements about what the program asks Azure and Databricks for."""

import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pulumi
import pytest

SUPPORTED = {
    *("azure-native:resources:ResourceGroup", "azure-native:consumption:Budget"),
    *(f"azure-native:eventhub:{kind}" for kind in ("Namespace", "EventHub", "ConsumerGroup")),
    *("azure-native:eventhub:EventHubAuthorizationRule", "azure-native:authorization:RoleAssignment"),
    *(f"azure-native:storage:{kind}" for kind in ("StorageAccount", "BlobContainer", "ManagementPolicy")),
    *(f"azure-native:databricks:{kind}" for kind in ("Workspace", "AccessConnector")),
    *(
        f"databricks:index/{kind[0].lower()}{kind[1:]}:{kind}"
        for kind in (
            *("SecretScope", "Secret", "SecretAcl", "ClusterPolicy", "Cluster", "Directory", "Notebook"),
            *("WorkspaceFile", "Job", "Permissions", "StorageCredential", "ExternalLocation", "Grants", "User"),
        )
    ),
}


def test_every_type_is_one_that_the_lab_is_meant_to_hold(by_identity: Any, by_key: Any, shared: Any) -> None:
    resources = (*by_identity.resources, *by_key.resources, *shared.resources)
    assert {one.type for one in resources} == SUPPORTED


def test_everything_but_the_group_lies_in_the_component_of_its_room(either: Any) -> None:
    components = {one.key for one in either.requests if not one.custom}
    assert {key.split("::")[0] for key in components} == {
        f"lab:infra:{room}"
        for room in ("Access", "Budget", "Compute", "EventHubs", "Jobs", "Secrets", "Storage", "Workspace")
    }
    outside = [one for one in either.requests if one.custom and one.parent not in components]
    assert [one.type for one in outside] == ["azure-native:resources:ResourceGroup"]


def test_no_resource_is_named_by_pulumi(either: Any) -> None:
    # A random suffix would make names that nobody can know before.
    names = {
        "ResourceGroup": "resourceGroupName",
        "Namespace": "namespaceName",
        "EventHub": "eventHubName",
        "ConsumerGroup": "consumerGroupName",
        "EventHubAuthorizationRule": "authorizationRuleName",
        "StorageAccount": "accountName",
        "BlobContainer": "containerName",
        "ManagementPolicy": "managementPolicyName",
        "Workspace": "workspaceName",
        "AccessConnector": "connectorName",
        "RoleAssignment": "roleAssignmentName",
        "Budget": "budgetName",
        "SecretScope": "name",
        "ClusterPolicy": "name",
        "Cluster": "clusterName",
        "Job": "name",
        "StorageCredential": "name",
        "ExternalLocation": "name",
    }
    for one in either.resources:
        kind = one.kind
        if kind in names:
            assert one.inputs.get(names[kind]), one.key


def test_what_can_carry_tags_says_whose_it_is_and_until_when(either: Any) -> None:
    tags = {"course": "dp-203", "student": "ada", "owner": "teacher@example.com", "expires-on": "2099-06-30"}
    # The cluster inherits the workspace's.
    tagged = ("ResourceGroup", "Namespace", "StorageAccount", "Workspace", "AccessConnector", "Job")
    for one in either.resources:
        if one.kind in tagged:
            assert one.inputs["tags"] == tags, one.key
    assert not tags.keys() & either.one("Cluster").inputs["customTags"].keys()


def test_the_hub_has_one_key_that_only_sends_and_one_that_only_listens(either: Any) -> None:
    rules = either.all("EventHubAuthorizationRule")
    assert {rule.inputs["authorizationRuleName"]: rule.inputs["rights"] for rule in rules} == {
        "send": ["Send"],
        "listen": ["Listen"],
    }
    assert all(rule.inputs["eventHubName"] == "events" for rule in rules)


def test_the_root_key_of_the_namespace_is_never_read(either: Any) -> None:
    read = [(token, args.get("authorizationRuleName")) for token, args, _ in either.calls if "Keys" in token]
    hub = [one for one in read if one[0] != "azure-native:storage:listStorageAccountKeys"]
    assert sorted(hub) == [
        ("azure-native:eventhub:listEventHubKeys", "listen"),
        ("azure-native:eventhub:listEventHubKeys", "send"),
    ]


def test_the_namespace_can_speak_kafka_and_stays_at_one_throughput_unit(either: Any) -> None:
    inputs = either.one("Namespace").inputs
    assert inputs["sku"] == {"name": "Standard", "tier": "Standard", "capacity": 1}
    assert inputs["isAutoInflateEnabled"] is False
    assert inputs["minimumTlsVersion"] == "1.2"
    assert either.one("EventHub").inputs["partitionCount"] == 2


def test_what_azure_refuses_to_change_is_replaced(either: Any) -> None:
    assert either.one("EventHub").replace_on_changes == ("partitionCount",)
    assert either.one("Namespace").replace_on_changes == ("sku.name", "sku.tier")


def test_the_storage_is_a_private_data_lake(either: Any) -> None:
    inputs = either.one("StorageAccount").inputs
    assert inputs["kind"] == "StorageV2"
    assert inputs["isHnsEnabled"] is True
    assert inputs["minimumTlsVersion"] == "TLS1_2"
    assert inputs["enableHttpsTrafficOnly"] is True
    assert inputs["allowBlobPublicAccess"] is False
    assert either.one("BlobContainer").inputs["publicAccess"] == "None"


def test_the_lifecycle_rule_follows_azure_s_form(either: Any) -> None:
    inputs = either.one("ManagementPolicy").inputs
    (rule,) = inputs["policy"]["rules"]
    assert inputs["managementPolicyName"] == "default"
    assert re.fullmatch(r"[a-zA-Z0-9]{1,256}", rule["name"])
    assert rule["definition"]["filters"] == {"blobTypes": ["blockBlob"], "prefixMatch": ["lab/"]}
    assert rule["definition"]["actions"]["baseBlob"]["delete"]["daysAfterModificationGreaterThan"] == 90


def test_the_workspace_names_its_managed_group_and_nobody_creates_it(either: Any) -> None:
    inputs = either.one("Workspace").inputs
    assert inputs["sku"] == {"name": "premium"}
    assert inputs["computeMode"] == "Hybrid"
    assert inputs["parameters"] == {"enableNoPublicIp": {"value": False}}
    managed = inputs["managedResourceGroupId"].rpartition("/")[2]
    assert managed == "rg-dp-203-ada-databricks" == either.outputs["managedResourceGroup"]
    groups = [one.inputs["resourceGroupName"] for one in either.all("ResourceGroup")]
    assert groups == ["rg-dp-203-ada"]


def test_with_identity_the_connector_may_use_the_storage_and_no_key_works(by_identity: Any) -> None:
    account = by_identity.one("StorageAccount").inputs
    role = by_identity.one("RoleAssignment").inputs
    location = by_identity.one("ExternalLocation").inputs
    assert account["allowSharedKeyAccess"] is False
    assert role["scope"].endswith(f"/storageAccounts/{account['accountName']}")
    assert role["principalType"] == "ServicePrincipal"
    assert role["roleDefinitionId"].endswith("ba92f5b4-2d11-453d-a403-e96b0029c9fe")
    assert (
        location["url"] == by_identity.outputs["root"] == f"abfss://lab@{account['accountName']}.dfs.core.windows.net"
    )
    assert location["credentialName"] == by_identity.outputs["storageCredential"]
    assert not [key for key in by_identity.one("Cluster").inputs["sparkConf"] if "account.key" in key]
    assert not [token for token, _, _ in by_identity.calls if "listStorageAccountKeys" in token]


def test_the_role_assignment_s_guid_is_known_beforehand_and_belongs_to_one_principal(
    by_identity: Any, azure_mocks: ModuleType, small_checkout: Path, settings: dict[str, str]
) -> None:
    def guid(recording: Any) -> str:
        return str(recording.one("RoleAssignment").inputs["roleAssignmentName"])

    again = azure_mocks.run_program(small_checkout, settings)
    other = azure_mocks.run_program(small_checkout, {**settings, "streaming-lab:student": "bob"})
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", guid(by_identity))
    assert guid(again) == guid(by_identity)
    assert guid(other) != guid(by_identity)


def test_no_key_is_in_any_plain_input_or_output(either: Any, azure_mocks: ModuleType) -> None:
    written = json.dumps([[one.plain for one in either.requests], either.outputs, either.component_outputs])
    for secret in azure_mocks.SECRETS.values():
        assert secret not in written
    assert "SharedAccessKey=" not in written


def test_the_budget_watches_the_machines_too_and_warns_the_owner(either: Any) -> None:
    inputs = either.one("Budget").inputs
    assert inputs["filter"]["dimensions"] == {
        "name": "ResourceGroupName",
        "operator": "In",
        "values": ["rg-dp-203-ada", "rg-dp-203-ada-databricks"],
    }
    assert inputs["amount"] == 50
    assert inputs["timeGrain"] == "Monthly"
    assert 1 <= len(inputs["notifications"]) <= 5
    for alert in inputs["notifications"].values():
        assert alert["enabled"] is True
        assert alert["contactEmails"] == ["teacher@example.com"]


def test_the_budget_s_start_never_changes_by_itself(
    by_identity: Any, azure_mocks: ModuleType, small_checkout: Path, settings: dict[str, str]
) -> None:
    by_clock = by_identity.one("Budget")
    assert re.fullmatch(r"\d{4}-\d{2}-01T00:00:00Z", by_clock.inputs["timePeriod"]["startDate"])
    assert by_clock.ignore_changes == ("timePeriod",)
    recording = azure_mocks.run_program(small_checkout, {**settings, "streaming-lab:budgetStart": "2027-03-01"})
    by_config = recording.one("Budget")
    assert by_config.inputs["timePeriod"]["startDate"] == "2027-03-01T00:00:00Z"
    assert by_config.ignore_changes == ()
    assert by_config.replace_on_changes == ("timePeriod.startDate",)


def test_a_renamed_lab_gets_a_new_budget_and_not_the_old_one_s_start(
    by_identity: Any, azure_mocks: ModuleType, small_checkout: Path, settings: dict[str, str]
) -> None:
    renamed = azure_mocks.run_program(small_checkout, {**settings, "streaming-lab:course": "dp-700"})
    assert renamed.one("Budget").key != by_identity.one("Budget").key


def test_the_outputs_name_what_is_registered(by_identity: Any) -> None:
    registered = {
        "resourceGroup": by_identity.one("ResourceGroup").inputs["resourceGroupName"],
        "namespace": by_identity.one("Namespace").inputs["namespaceName"],
        "hub": by_identity.one("EventHub").inputs["eventHubName"],
        "consumerGroup": by_identity.one("ConsumerGroup").inputs["consumerGroupName"],
        "storageAccount": by_identity.one("StorageAccount").inputs["accountName"],
        "container": by_identity.one("BlobContainer").inputs["containerName"],
        "workspaceName": by_identity.one("Workspace").inputs["workspaceName"],
        "secretScope": by_identity.one("SecretScope").inputs["name"],
        "storageCredential": by_identity.one("StorageCredential").inputs["name"],
        "externalLocation": by_identity.one("ExternalLocation").inputs["name"],
        "home": by_identity.one("Directory", "home").inputs["path"],
        "control": by_identity.one("Directory", "control").inputs["path"],
    }
    assert {key: by_identity.outputs[key] for key in registered} == registered


def test_the_outputs_are_those_that_the_command_reads(by_identity: Any, by_key: Any) -> None:
    everywhere = {
        *("student", "seed", "location", "noPublicIp", "subscriptionId", "resourceGroup", "managedResourceGroup"),
        *("namespace", "hub", "runAs"),
        *("consumerGroup", "storageAccess", "storageAccount", "container", "root", "workspaceName", "workspaceUrl"),
        *("workspaceResourceId", "home", "control", "notebooks", "secretScope", "clusterId", "exercisesJobId"),
        *("liveJobId", "wheel"),
    }
    assert set(by_key.outputs) == everywhere
    assert set(by_identity.outputs) == everywhere | {"storageCredential", "externalLocation"}
    assert by_identity.outputs["noPublicIp"] is False
    assert all(isinstance(value, str) for key, value in by_identity.outputs.items() if key != "noPublicIp")


def test_a_first_preview_needs_nothing_that_only_the_cloud_knows(
    azure_mocks: ModuleType, small_checkout: Path, settings: dict[str, str], by_identity: Any
) -> None:
    recording = azure_mocks.run_program(small_checkout, settings, preview=True)
    assert {one.key for one in recording.requests} == {one.key for one in by_identity.requests}
    for key in ("resourceGroup", "namespace", "hub", "storageAccount", "root", "workspaceName", "secretScope"):
        assert recording.outputs[key] == by_identity.outputs[key]


@pytest.mark.parametrize(
    ("settings_more", "sentence"),
    [
        ({"streaming-lab:hubPartitions": "33"}, "config streaming-lab:hubPartitions is 33: "),
        ({"streaming-lab:typo": "1"}, "config streaming-lab:typo is 1: there is no such key"),
    ],
)
def test_wrong_configuration_ends_the_program_before_it_asks_for_anything(
    azure_mocks: ModuleType,
    small_checkout: Path,
    settings: dict[str, str],
    settings_more: dict[str, str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = azure_mocks.Recording()
    monkeypatch.setattr(azure_mocks, "Recording", lambda: asked)
    with pytest.raises(pulumi.RunError) as refused:
        azure_mocks.run_program(small_checkout, {**settings, **settings_more})
    assert str(refused.value).startswith(sentence)
    assert (asked.requests, asked.calls) == ([], [])


def test_a_missing_notebook_ends_the_program_before_it_asks_for_anything(
    azure_mocks: ModuleType, checkout: Path, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = azure_mocks.Recording()
    monkeypatch.setattr(azure_mocks, "Recording", lambda: asked)
    (checkout / "notebooks" / "02_windows.py").unlink()
    with pytest.raises(pulumi.RunError, match=r"the notebook .*02_windows\.py can't be read"):
        azure_mocks.run_program(checkout, settings)
    assert (asked.requests, asked.calls) == ([], [])
