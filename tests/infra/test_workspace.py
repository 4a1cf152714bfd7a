"""Statements about what the program puts into the workspace."""

import base64
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pulumi
import pytest

OUTLIVING = ("StorageCredential", "ExternalLocation", "Grants", "User")
WORKSPACE = "azure-native:databricks:Workspace::workspace"


def test_the_databricks_provider_reaches_this_workspace_with_a_pinned_login(
    either: Any, azure_mocks: ModuleType
) -> None:
    provider = either.one("databricks").inputs
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
        if one.type.startswith("databricks:") and one.kind not in OUTLIVING:
            assert one.deleted_with == WORKSPACE, one.key


def test_what_outlives_the_workspace_is_deleted_itself_and_before_it(either: Any) -> None:
    outliving = [one for one in either.resources if one.kind in OUTLIVING]
    assert outliving
    for one in outliving:
        assert one.deleted_with == "", one.key
        assert WORKSPACE in one.depends_on, one.key


def test_an_earlier_wheel_stays_for_the_runs_that_need_it(either: Any) -> None:
    retained = [one for one in either.resources if one.retain_on_delete]
    assert [one.name for one in retained] == ["wheel"]
    (home,) = (one for one in either.all("Directory") if one.name == "home")
    assert home.inputs["deleteRecursive"]
    assert retained[0].inputs["path"].startswith(f"{home.inputs['path']}/")


def test_names_in_the_shared_metastore_carry_the_student(by_identity: Any) -> None:
    for kind in ("StorageCredential", "ExternalLocation"):
        assert by_identity.one(kind).inputs["name"].startswith("lab-dp-203-ada-")


def test_with_a_key_the_cluster_gets_a_reference_and_nothing_needs_a_role(by_key: Any) -> None:
    account = by_key.one("StorageAccount").inputs
    assert account["allowSharedKeyAccess"] is True
    setting = f"spark.hadoop.fs.azure.account.key.{account['accountName']}.dfs.core.windows.net"
    assert by_key.one("Cluster").inputs["sparkConf"] == {
        "spark.databricks.cluster.profile": "singleNode",
        "spark.master": "local[*]",
        setting: "{{secrets/streaming-lab-ada/storage-key}}",
    }
    kinds = {one.kind for one in by_key.resources}
    assert kinds.isdisjoint({"RoleAssignment", "AccessConnector", "StorageCredential", "ExternalLocation", "Grants"})
    assert "externalLocation" not in by_key.outputs


def test_the_cluster_starts_after_the_secrets_that_it_refers_to(by_key: Any) -> None:
    secrets = {one.key for one in (*by_key.all("Secret"), *by_key.all("SecretAcl"))}
    assert len(secrets) == 4
    assert secrets <= by_key.one("Cluster").depends_on


def test_each_secret_holds_its_key_and_is_encrypted_in_the_state(either: Any, azure_mocks: ModuleType) -> None:
    expected = {"event-hubs-send": azure_mocks.SECRETS["send"], "event-hubs-listen": azure_mocks.SECRETS["listen"]}
    if either.outputs["storageAccess"] == "key":
        expected["storage-key"] = azure_mocks.SECRETS["storage"]
    secrets = either.all("Secret")
    assert {one.inputs["key"]: one.inputs["stringValue"] for one in secrets} == expected
    assert {one.plain["stringValue"] for one in secrets} == {"[secret]"}


def test_a_rotated_secret_is_deleted_before_it_is_created(either: Any) -> None:
    assert all(one.delete_before_replace for one in either.all("Secret"))


def test_notebooks_are_imported_into_a_folder_that_exists(either: Any) -> None:
    folder = either.one("Directory", "notebooks")
    for notebook in either.all("Notebook"):
        assert notebook.inputs["path"].startswith(f"{folder.inputs['path']}/")
        assert folder.key in notebook.depends_on


def test_a_new_storage_credential_and_location_are_not_validated(by_identity: Any) -> None:
    for kind in ("StorageCredential", "ExternalLocation"):
        assert by_identity.one(kind).inputs["skipValidation"] is True
    assert by_identity.one("ExternalLocation").inputs["enableFileEvents"] is False


def test_a_student_gets_the_files_by_the_name_in_the_metastore(shared: Any) -> None:
    [grant] = shared.one("Grants").inputs["grants"]
    assert grant == {"principal": "ada@example.com", "privileges": ["READ_FILES", "WRITE_FILES"]}
    assert "files" in {key.partition("::")[2] for key in shared.one("Job", "live").depends_on}


def test_the_cluster_is_one_small_machine_for_one_person_that_ends_when_idle(either: Any) -> None:
    inputs = either.one("Cluster").inputs
    assert inputs["numWorkers"] == 0
    assert inputs["customTags"] == {"ResourceClass": "SingleNode"}
    # With these the service changes the settings, and each `up` would edit and restart the cluster.
    assert inputs.keys().isdisjoint({"kind", "isSingleNode"})
    assert inputs["isPinned"] is True
    assert inputs["dataSecurityMode"] == "SINGLE_USER"
    assert inputs["nodeTypeId"] == inputs["driverNodeTypeId"] == "Standard_D4ds_v5"
    assert inputs["autoterminationMinutes"] == 30


def test_the_policy_fixes_what_the_cluster_asks_for(either: Any) -> None:
    cluster = either.one("Cluster").inputs
    policy = json.loads(either.one("ClusterPolicy").inputs["definition"])
    assert policy["node_type_id"] == {"type": "fixed", "value": cluster["nodeTypeId"]}
    assert policy["spark_version"] == {"type": "fixed", "value": cluster["sparkVersion"]}
    assert policy["data_security_mode"] == {"type": "fixed", "value": cluster["dataSecurityMode"]}
    assert policy["runtime_engine"] == {"type": "fixed", "value": cluster["runtimeEngine"]}
    assert policy["num_workers"] == {"type": "fixed", "value": cluster["numWorkers"]}
    for key in ("spark.databricks.cluster.profile", "spark.master"):
        assert policy[f"spark_conf.{key}"] == {"type": "fixed", "value": cluster["sparkConf"][key]}
    assert policy["driver_node_type_id"] == {"type": "fixed", "value": cluster["driverNodeTypeId"]}
    assert policy["autoscale.max_workers"] == {"type": "forbidden"}
    assert "autoscale" not in cluster
    limits = policy["autotermination_minutes"]
    assert limits["minValue"] <= cluster["autoterminationMinutes"] <= limits["maxValue"]
    for tag, value in cluster["customTags"].items():
        assert policy[f"custom_tags.{tag}"] == {"type": "fixed", "value": value}


@pytest.mark.parametrize(("lab", "person"), [("by_identity", "deployer@example.com"), ("by_key", "ada@example.com")])
def test_the_single_user_and_the_jobs_identity_are_one_person(
    lab: str, person: str, request: pytest.FixtureRequest
) -> None:
    recording = request.getfixturevalue(lab)
    assert recording.one("Cluster").inputs["singleUserName"] == person
    assert [job.inputs["runAs"] for job in recording.all("Job")] == [{"userName": person}] * 2
    assert recording.outputs["runAs"] == person


def test_a_service_principal_that_deploys_runs_the_jobs_as_one(
    azure_mocks: ModuleType, small_checkout: Path, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    application = "11111111-2222-3333-4444-555555555555"
    monkeypatch.setattr(azure_mocks, "DEPLOYER", application)
    recording = azure_mocks.run_program(small_checkout, settings)
    assert {job.inputs["runAs"]["servicePrincipalName"] for job in recording.all("Job")} == {application}


def test_the_student_manages_the_cluster_runs_the_jobs_and_reads_the_secrets(by_key: Any) -> None:
    given = {
        one.name: [(who["userName"], who["permissionLevel"]) for who in one.inputs["accessControls"]]
        for one in by_key.all("Permissions")
    }
    assert given == {
        "cluster-permissions": [("ada@example.com", "CAN_MANAGE")],
        "exercises-permissions": [("ada@example.com", "CAN_MANAGE_RUN")],
        "live-permissions": [("ada@example.com", "CAN_MANAGE_RUN")],
        "home-permissions": [("ada@example.com", "CAN_EDIT")],
    }
    acl = by_key.one("SecretAcl").inputs
    assert (acl["principal"], acl["permission"]) == ("ada@example.com", "READ")
    user = by_key.one("User").inputs
    assert user["userName"] == "ada@example.com"
    assert "allowClusterCreate" not in user


def test_the_deployer_s_own_account_is_no_student_s_to_add_and_remove(
    azure_mocks: ModuleType, small_checkout: Path, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = azure_mocks.Recording()
    monkeypatch.setattr(azure_mocks, "Recording", lambda: asked)
    with pytest.raises(pulumi.RunError, match=r"studentEmail is deployer@example\.com: it must not be"):
        azure_mocks.run_program(small_checkout, {**settings, "streaming-lab:studentEmail": "Deployer@example.com"})
    assert asked.all("User") == []


def test_a_deployer_s_own_lab_gives_nobody_else_anything(by_identity: Any) -> None:
    for kind in ("User", "Permissions", "SecretAcl", "Grants"):
        assert by_identity.all(kind) == []


def test_a_job_that_starts_at_once_finds_all_that_its_run_needs(by_identity: Any, by_key: Any) -> None:
    of_all = {"external-location", "cluster", "control"}
    of_a_student = {"cluster-permissions", "home-permissions", "student"}
    for recording, needed in ((by_identity, of_all), (by_key, of_a_student)):
        for job in recording.all("Job"):
            assert needed <= {key.partition("::")[2] for key in job.depends_on}


def tasks(recording: Any, job: str) -> dict[str, Any]:
    return {task["taskKey"]: task for task in recording.one("Job", job).inputs["tasks"]}


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
    job = either.one("Job", "live").inputs
    assert job["continuous"] == {"pauseStatus": "PAUSED"}
    assert "schedule" not in job
    assert [task["taskKey"] for task in job["tasks"]] == ["event_hubs", "publish", "windows"]
    for task in job["tasks"]:
        assert set(task) == {"taskKey", "existingClusterId", "libraries", "pythonWheelTask"}
        assert {"--continuous", "--dataset=live"} <= set(task["pythonWheelTask"]["parameters"])


def test_the_exercises_have_a_schedule_and_parameters_that_a_run_may_choose(either: Any) -> None:
    job = either.one("Job", "exercises").inputs
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
    assert recording.one("Job", "live").inputs["continuous"] == {"pauseStatus": "UNPAUSED"}
    assert recording.one("Job", "exercises").inputs["schedule"]["pauseStatus"] == "UNPAUSED"


def test_each_task_is_an_entry_point_of_the_uploaded_wheel_on_the_lab_s_cluster(either: Any) -> None:
    wheel = either.one("WorkspaceFile").inputs["path"]
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
    notebooks = either.all("Notebook")
    assert len(notebooks) == 3
    for one in notebooks:
        name = one.inputs["path"].removeprefix("/Shared/streaming-lab/ada/notebooks/")
        source = (small_checkout / "notebooks" / f"{name}.py").read_bytes()
        assert base64.b64decode(one.inputs["contentBase64"]) == source
        assert one.inputs["language"] == "PYTHON"
