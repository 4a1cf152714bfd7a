"""Statements about what the program asks Azure and Databricks for."""

import base64
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pulumi
import pytest

SUPPORTED = {
    *("azure-native:resources:ResourceGroup", "azure-native:eventhub:Namespace", "azure-native:eventhub:EventHub"),
    *("azure-native:eventhub:ConsumerGroup", "azure-native:eventhub:EventHubAuthorizationRule"),
    *("azure-native:storage:StorageAccount", "azure-native:storage:BlobContainer"),
    *("azure-native:storage:ManagementPolicy", "azure-native:databricks:Workspace"),
    *("azure-native:databricks:AccessConnector", "azure-native:authorization:RoleAssignment"),
    "azure-native:consumption:Budget",
    *(
        f"databricks:index/{name[0].lower()}{name[1:]}:{name}"
        for name in (
            *("SecretScope", "Secret", "SecretAcl", "ClusterPolicy", "Cluster", "Directory", "Notebook"),
            *("WorkspaceFile", "Job", "Permissions", "StorageCredential", "ExternalLocation", "Grants", "User"),
        )
    ),
}
OUTLIVING = ("StorageCredential", "ExternalLocation", "Grants", "User")
WORKSPACE = "azure-native:databricks:Workspace::workspace"


def databricks(name: str) -> str:
    return f"databricks:index/{name[0].lower()}{name[1:]}:{name}"


@pytest.fixture(params=["by_identity", "by_key"])
def either(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def test_every_type_is_one_that_the_lab_is_meant_to_hold(by_identity: Any, by_key: Any) -> None:
    assert {one.type for one in (*by_identity.resources, *by_key.resources)} == SUPPORTED


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
        kind = one.type.rpartition(":")[2]
        if kind in names:
            assert one.inputs.get(names[kind]), one.key


def test_what_can_carry_tags_says_whose_it_is_and_until_when(either: Any) -> None:
    tags = {"course": "dp-203", "student": "ada", "owner": "teacher@example.com", "expires-on": "2027-06-30"}
    tagged = ("ResourceGroup", "Namespace", "StorageAccount", "Workspace", "AccessConnector", "Job")
    for one in either.resources:
        if one.type.rpartition(":")[2] in tagged:
            assert one.inputs["tags"] == tags, one.key
    assert either.one(databricks("Cluster")).inputs["customTags"] == tags


def test_the_hub_has_one_key_that_only_sends_and_one_that_only_listens(either: Any) -> None:
    rules = either.all("azure-native:eventhub:EventHubAuthorizationRule")
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
    inputs = either.one("azure-native:eventhub:Namespace").inputs
    assert inputs["sku"] == {"name": "Standard", "tier": "Standard", "capacity": 1}
    assert inputs["isAutoInflateEnabled"] is False
    assert inputs["minimumTlsVersion"] == "1.2"
    assert either.one("azure-native:eventhub:EventHub").inputs["partitionCount"] == 2


def test_what_azure_refuses_to_change_is_replaced(either: Any) -> None:
    assert either.one("azure-native:eventhub:EventHub").replace_on_changes == ("partitionCount",)
    assert either.one("azure-native:eventhub:Namespace").replace_on_changes == ("sku.name", "sku.tier")


def test_the_storage_is_a_private_data_lake(either: Any) -> None:
    inputs = either.one("azure-native:storage:StorageAccount").inputs
    assert inputs["kind"] == "StorageV2"
    assert inputs["isHnsEnabled"] is True
    assert inputs["minimumTlsVersion"] == "TLS1_2"
    assert inputs["enableHttpsTrafficOnly"] is True
    assert inputs["allowBlobPublicAccess"] is False
    assert either.one("azure-native:storage:BlobContainer").inputs["publicAccess"] == "None"


def test_the_lifecycle_rule_follows_azure_s_form(either: Any) -> None:
    inputs = either.one("azure-native:storage:ManagementPolicy").inputs
    (rule,) = inputs["policy"]["rules"]
    assert inputs["managementPolicyName"] == "default"
    assert re.fullmatch(r"[a-zA-Z0-9]{1,256}", rule["name"])
    assert rule["definition"]["filters"] == {"blobTypes": ["blockBlob"], "prefixMatch": ["lab/"]}
    assert rule["definition"]["actions"]["baseBlob"]["delete"]["daysAfterModificationGreaterThan"] == 90


def test_the_workspace_names_its_managed_group_and_nobody_creates_it(either: Any) -> None:
    inputs = either.one("azure-native:databricks:Workspace").inputs
    assert inputs["sku"] == {"name": "premium"}
    assert inputs["computeMode"] == "Hybrid"
    assert inputs["parameters"] == {"enableNoPublicIp": {"value": False}}
    managed = inputs["managedResourceGroupId"].rpartition("/")[2]
    assert managed == "rg-dp-203-ada-databricks" == either.outputs["managedResourceGroup"]
    groups = [one.inputs["resourceGroupName"] for one in either.all("azure-native:resources:ResourceGroup")]
    assert groups == ["rg-dp-203-ada"]


def test_the_databricks_provider_reaches_this_workspace_with_a_pinned_login(
    either: Any, azure_mocks: ModuleType
) -> None:
    provider = either.one("pulumi:providers:databricks").inputs
    assert provider["host"] == f"https://{azure_mocks.WORKSPACE_URL}"
    assert provider["authType"] == "azure-cli"
    assert provider["azureWorkspaceResourceId"] == either.outputs["workspaceResourceId"]


def test_every_databricks_resource_names_its_provider(either: Any) -> None:
    for one in either.resources:
        if one.type.startswith("databricks:"):
            assert one.provider == "pulumi:providers:databricks::databricks", one.key
    for token, _, provider in either.calls:
        assert ("::databricks::" in provider) == token.startswith("databricks:"), token


def test_what_lives_in_the_workspace_goes_with_it(either: Any) -> None:
    for one in either.resources:
        if one.type.startswith("databricks:") and one.type.rpartition(":")[2] not in OUTLIVING:
            assert one.deleted_with == WORKSPACE, one.key


def test_what_outlives_the_workspace_is_deleted_itself_and_before_it(either: Any) -> None:
    outliving = [one for one in either.resources if one.type.rpartition(":")[2] in OUTLIVING]
    assert outliving
    for one in outliving:
        assert one.deleted_with == "", one.key
        assert WORKSPACE in one.depends_on, one.key


def test_names_in_the_shared_metastore_carry_the_student(by_identity: Any) -> None:
    for kind in ("StorageCredential", "ExternalLocation"):
        assert by_identity.one(databricks(kind)).inputs["name"].startswith("lab-dp-203-ada-")


def test_with_identity_the_connector_may_use_the_storage_and_no_key_works(by_identity: Any) -> None:
    account = by_identity.one("azure-native:storage:StorageAccount").inputs
    role = by_identity.one("azure-native:authorization:RoleAssignment").inputs
    location = by_identity.one(databricks("ExternalLocation")).inputs
    assert account["allowSharedKeyAccess"] is False
    assert role["scope"].endswith(f"/storageAccounts/{account['accountName']}")
    assert role["principalType"] == "ServicePrincipal"
    assert role["roleDefinitionId"].endswith("ba92f5b4-2d11-453d-a403-e96b0029c9fe")
    assert (
        location["url"] == by_identity.outputs["root"] == f"abfss://lab@{account['accountName']}.dfs.core.windows.net"
    )
    assert location["credentialName"] == by_identity.outputs["storageCredential"]
    assert by_identity.one(databricks("Grants")).inputs["grants"] == [
        {"principal": "deployer@example.com", "privileges": ["READ_FILES", "WRITE_FILES"]}
    ]
    assert "sparkConf" not in by_identity.one(databricks("Cluster")).inputs
    assert not [token for token, _, _ in by_identity.calls if "listStorageAccountKeys" in token]


def test_the_role_assignment_s_guid_is_known_beforehand_and_belongs_to_one_principal(
    by_identity: Any, azure_mocks: ModuleType, small_checkout: Path, settings: dict[str, str]
) -> None:
    def guid(recording: Any) -> str:
        return str(recording.one("azure-native:authorization:RoleAssignment").inputs["roleAssignmentName"])

    again = azure_mocks.run_program(small_checkout, settings)
    other = azure_mocks.run_program(small_checkout, {**settings, "streaming-lab:student": "bob"})
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", guid(by_identity))
    assert guid(again) == guid(by_identity)
    assert guid(other) != guid(by_identity)


def test_with_a_key_the_cluster_gets_a_reference_and_nothing_needs_a_role(by_key: Any) -> None:
    account = by_key.one("azure-native:storage:StorageAccount").inputs
    assert account["allowSharedKeyAccess"] is True
    (setting, value), *more = by_key.one(databricks("Cluster")).inputs["sparkConf"].items()
    assert setting == f"fs.azure.account.key.{account['accountName']}.dfs.core.windows.net"
    assert value == "{{secrets/streaming-lab-ada/storage-key}}"
    assert more == []
    kinds = {one.type.rpartition(":")[2] for one in by_key.resources}
    assert kinds.isdisjoint({"RoleAssignment", "AccessConnector", "StorageCredential", "ExternalLocation", "Grants"})
    assert "externalLocation" not in by_key.outputs


def test_the_cluster_starts_after_the_secrets_that_it_refers_to(by_key: Any) -> None:
    secrets = {one.key for one in (*by_key.all(databricks("Secret")), *by_key.all(databricks("SecretAcl")))}
    assert len(secrets) == 4
    assert secrets <= by_key.one(databricks("Cluster")).depends_on


def test_each_secret_holds_its_key_and_is_encrypted_in_the_state(either: Any, azure_mocks: ModuleType) -> None:
    expected = {"event-hubs-send": azure_mocks.SECRETS["send"], "event-hubs-listen": azure_mocks.SECRETS["listen"]}
    if either.outputs["storageAccess"] == "key":
        expected["storage-key"] = azure_mocks.SECRETS["storage"]
    secrets = either.all(databricks("Secret"))
    assert {one.inputs["key"]: one.inputs["stringValue"] for one in secrets} == expected
    assert {one.plain["stringValue"] for one in secrets} == {"[secret]"}


def test_no_key_is_in_any_plain_input_or_output(either: Any, azure_mocks: ModuleType) -> None:
    written = json.dumps([[one.plain for one in either.requests], either.outputs, either.component_outputs])
    for secret in azure_mocks.SECRETS.values():
        assert secret not in written
    assert "SharedAccessKey=" not in written


def test_the_cluster_is_one_small_machine_for_one_person_that_ends_when_idle(either: Any) -> None:
    inputs = either.one(databricks("Cluster")).inputs
    assert inputs["kind"] == "CLASSIC_PREVIEW"
    assert inputs["isSingleNode"] is True
    assert inputs["dataSecurityMode"] == "SINGLE_USER"
    assert inputs["nodeTypeId"] == "Standard_D4ds_v5"
    assert inputs["autoterminationMinutes"] == 30


def test_the_policy_fixes_what_the_cluster_asks_for(either: Any) -> None:
    cluster = either.one(databricks("Cluster")).inputs
    policy = json.loads(either.one(databricks("ClusterPolicy")).inputs["definition"])
    assert policy["node_type_id"] == {"type": "fixed", "value": cluster["nodeTypeId"]}
    assert policy["spark_version"] == {"type": "fixed", "value": cluster["sparkVersion"]}
    assert policy["data_security_mode"] == {"type": "fixed", "value": cluster["dataSecurityMode"]}
    assert policy["runtime_engine"] == {"type": "fixed", "value": cluster["runtimeEngine"]}
    limits = policy["autotermination_minutes"]
    assert limits["minValue"] <= cluster["autoterminationMinutes"] <= limits["maxValue"]
    for tag, value in cluster["customTags"].items():
        assert policy[f"custom_tags.{tag}"] == {"type": "fixed", "value": value}


@pytest.mark.parametrize(("lab", "person"), [("by_identity", "deployer@example.com"), ("by_key", "ada@example.com")])
def test_the_single_user_and_the_jobs_identity_are_one_person(
    lab: str, person: str, request: pytest.FixtureRequest
) -> None:
    recording = request.getfixturevalue(lab)
    assert recording.one(databricks("Cluster")).inputs["singleUserName"] == person
    assert [job.inputs["runAs"] for job in recording.all(databricks("Job"))] == [{"userName": person}] * 2


def test_a_service_principal_that_deploys_runs_the_jobs_as_one(
    azure_mocks: ModuleType, small_checkout: Path, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    application = "11111111-2222-3333-4444-555555555555"
    monkeypatch.setattr(azure_mocks, "DEPLOYER", application)
    recording = azure_mocks.run_program(small_checkout, settings)
    assert {job.inputs["runAs"]["servicePrincipalName"] for job in recording.all(databricks("Job"))} == {application}


def test_the_student_manages_the_cluster_runs_the_jobs_and_reads_the_secrets(by_key: Any) -> None:
    given = {
        one.name: [(who["userName"], who["permissionLevel"]) for who in one.inputs["accessControls"]]
        for one in by_key.all(databricks("Permissions"))
    }
    assert given == {
        "cluster-permissions": [("ada@example.com", "CAN_MANAGE")],
        "exercises-permissions": [("ada@example.com", "CAN_MANAGE_RUN")],
        "live-permissions": [("ada@example.com", "CAN_MANAGE_RUN")],
        "home-permissions": [("ada@example.com", "CAN_EDIT")],
    }
    acl = by_key.one(databricks("SecretAcl")).inputs
    assert (acl["principal"], acl["permission"]) == ("ada@example.com", "READ")
    user = by_key.one(databricks("User")).inputs
    assert user["userName"] == "ada@example.com"
    assert "allowClusterCreate" not in user


def test_a_deployer_s_own_lab_gives_nobody_else_anything(by_identity: Any) -> None:
    for kind in ("User", "Permissions", "SecretAcl"):
        assert by_identity.all(databricks(kind)) == []


def tasks(recording: Any, job: str) -> dict[str, Any]:
    return {task["taskKey"]: task for task in recording.one(databricks("Job"), job).inputs["tasks"]}


def test_the_exercises_run_in_the_order_of_their_data(either: Any) -> None:
    after = {
        key: [one["taskKey"] for one in task.get("dependsOns", [])] for key, task in tasks(either, "exercises").items()
    }
    # Both lists sorted: Databricks gives them back so, and any other order would be a change in each preview.
    assert list(after.items()) == [
        ("concepts", ["generate"]),
        ("event_hubs", ["publish"]),
        ("generate", []),
        ("publish", ["generate"]),
        ("verify", ["concepts", "event_hubs", "windows"]),
        ("windows", ["generate"]),
    ]


def test_the_live_job_is_continuous_paused_and_without_dependencies_or_retries(either: Any) -> None:
    job = either.one(databricks("Job"), "live").inputs
    assert job["continuous"] == {"pauseStatus": "PAUSED"}
    assert "schedule" not in job
    assert [task["taskKey"] for task in job["tasks"]] == ["event_hubs", "publish", "windows"]
    for task in job["tasks"]:
        assert set(task) == {"taskKey", "existingClusterId", "libraries", "pythonWheelTask"}
        assert {"--continuous", "--dataset=live"} <= set(task["pythonWheelTask"]["parameters"])


def test_the_exercises_have_a_schedule_and_parameters_that_a_run_may_choose(either: Any) -> None:
    job = either.one(databricks("Job"), "exercises").inputs
    assert job["schedule"] == {
        "quartzCronExpression": "0 0 6 ? * MON-FRI",
        "timezoneId": "UTC",
        "pauseStatus": "PAUSED",
    }
    declared = {one["name"] for one in job["parameters"]}
    used = set(re.findall(r"\{\{job\.parameters\.(\w+)\}\}", json.dumps(job["tasks"])))
    assert declared == used == {"scale", "exercises", "size", "slide", "watermark", "rate"}


def test_config_starts_the_schedule_and_the_live_job(
    azure_mocks: ModuleType, small_checkout: Path, settings: dict[str, str]
) -> None:
    more = {"streaming-lab:livePaused": "false", "streaming-lab:exercisesPaused": "false"}
    recording = azure_mocks.run_program(small_checkout, {**settings, **more})
    assert recording.one(databricks("Job"), "live").inputs["continuous"] == {"pauseStatus": "UNPAUSED"}
    assert recording.one(databricks("Job"), "exercises").inputs["schedule"]["pauseStatus"] == "UNPAUSED"


def test_each_task_is_an_entry_point_of_the_uploaded_wheel_on_the_lab_s_cluster(either: Any) -> None:
    wheel = either.one(databricks("WorkspaceFile")).inputs["path"]
    assert re.fullmatch(
        r"/Shared/streaming-lab/ada/wheels/streaming_lab-1\.0\.0\+[0-9a-f]{12}-py3-none-any\.whl", wheel
    )
    for job in ("exercises", "live"):
        for key, task in tasks(either, job).items():
            assert task["existingClusterId"] == either.outputs["clusterId"]
            # The workspace's own paths start at /Shared, a cluster sees them below /Workspace.
            assert task["libraries"] == [{"whl": f"/Workspace{wheel}"}]
            run = task["pythonWheelTask"]
            assert (run["packageName"], run["entryPoint"]) == ("streaming_lab", key)
            assert run["parameters"][:2] == [
                f"--root={either.outputs['root']}",
                f"--dataset={'live' if job == 'live' else 'exercises'}",
            ]


def test_the_tasks_get_the_names_that_they_ask_for(either: Any) -> None:
    parameters = {key: task["pythonWheelTask"]["parameters"] for key, task in tasks(either, "exercises").items()}
    hub = {"--scope=streaming-lab-ada", "--consumer-group=streaming-lab"}
    assert hub <= set(parameters["event_hubs"])
    assert hub <= set(parameters["verify"])
    assert "--scope=streaming-lab-ada" in parameters["publish"]
    assert "--seed=dp-203-ada" in parameters["generate"]
    for streaming in ("concepts", "windows", "publish", "event_hubs"):
        assert "--control=/Shared/streaming-lab/ada/control" in parameters[streaming]


def test_the_notebooks_are_uploaded_as_they_are(either: Any, small_checkout: Path) -> None:
    notebooks = either.all(databricks("Notebook"))
    assert len(notebooks) == 3
    for one in notebooks:
        name = one.inputs["path"].removeprefix("/Shared/streaming-lab/ada/notebooks/")
        source = (small_checkout / "notebooks" / f"{name}.py").read_bytes()
        assert base64.b64decode(one.inputs["contentBase64"]) == source
        assert one.inputs["language"] == "PYTHON"


def test_the_budget_watches_the_machines_too_and_warns_the_owner(either: Any) -> None:
    inputs = either.one("azure-native:consumption:Budget").inputs
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
    by_clock = by_identity.one("azure-native:consumption:Budget")
    assert re.fullmatch(r"\d{4}-\d{2}-01T00:00:00Z", by_clock.inputs["timePeriod"]["startDate"])
    assert by_clock.ignore_changes == ("timePeriod",)
    recording = azure_mocks.run_program(small_checkout, {**settings, "streaming-lab:budgetStart": "2027-03-01"})
    by_config = recording.one("azure-native:consumption:Budget")
    assert by_config.inputs["timePeriod"]["startDate"] == "2027-03-01T00:00:00Z"
    assert by_config.ignore_changes == ()
    assert by_config.replace_on_changes == ("timePeriod.startDate",)


def test_the_outputs_are_those_that_the_command_reads(by_identity: Any, by_key: Any) -> None:
    everywhere = {
        *("student", "seed", "location", "subscriptionId", "resourceGroup", "managedResourceGroup", "namespace", "hub"),
        *("consumerGroup", "storageAccess", "storageAccount", "container", "root", "workspaceName", "workspaceUrl"),
        *("workspaceResourceId", "home", "control", "notebooks", "secretScope", "clusterId", "exercisesJobId"),
        *("liveJobId", "wheel"),
    }
    assert set(by_key.outputs) == everywhere
    assert set(by_identity.outputs) == everywhere | {"storageCredential", "externalLocation"}
    assert all(isinstance(value, str) for value in by_identity.outputs.values())


def test_a_first_preview_needs_nothing_that_only_the_cloud_knows(
    azure_mocks: ModuleType, small_checkout: Path, settings: dict[str, str], by_identity: Any
) -> None:
    recording = azure_mocks.run_program(small_checkout, settings, preview=True)
    assert {one.key for one in recording.requests} == {one.key for one in by_identity.requests}
    account = "azure-native:storage:StorageAccount"
    assert recording.one(account).inputs["accountName"] == by_identity.one(account).inputs["accountName"]


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
    azure_mocks: ModuleType, checkout: Path, settings: dict[str, str]
) -> None:
    (checkout / "notebooks" / "02_windows.py").unlink()
    with pytest.raises(pulumi.RunError, match=r"the notebook .*02_windows\.py can't be read"):
        azure_mocks.run_program(checkout, settings)
