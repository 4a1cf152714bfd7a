"""The REST API, asked by the published databricks-sdk."""

import base64
import io
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    DatabricksError,
    InvalidParameterValue,
    NotFound,
    PermissionDenied,
    ResourceAlreadyExists,
    Unauthenticated,
)
from databricks.sdk.service import catalog, compute, iam, jobs, workspace

from localcloud.workspace import Workspace


def test_a_request_without_the_token_gets_401_and_the_services_words(address: str) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic dGhlLXRva2Vu"}):
        answer = httpx.get(f"{address}/api/2.2/jobs/list", headers=headers)
        assert answer.status_code == 401
        assert answer.json()["message"] == "Credential was not sent or was of an unsupported type for this API."


def test_the_sdk_gets_401_with_a_wrong_token(student_client: Callable[[str], WorkspaceClient]) -> None:
    with pytest.raises(Unauthenticated):
        student_client("wrong").current_user.me()


def test_clients_may_ask_without_a_token_which_workspace_this_is(address: str, workspace: Workspace) -> None:
    answer = httpx.get(f"{address}/.well-known/databricks-config").json()
    assert answer["workspace_id"] == workspace.workspace_id


def test_an_unknown_path_is_answered_as_the_service_does(client: WorkspaceClient) -> None:
    with pytest.raises(NotFound, match=r"No API found for 'GET /api/2.0/nothing'"):
        client.api_client.do("GET", "/api/2.0/nothing")


def test_a_body_that_is_no_json_is_refused(address: str) -> None:
    answer = httpx.post(f"{address}/api/2.2/jobs/create", content=b"{", headers={"Authorization": "Bearer the-token"})
    assert answer.json()["error_code"] == "MALFORMED_REQUEST"


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("2.1/clusters/create", {"autotermination_minutes": "30"}, "Cluster field 'autotermination_minutes' must be a"),
        ("2.1/clusters/create", {"is_single_node": "false"}, "Cluster field 'is_single_node' must be true or false"),
        ("2.1/clusters/create", {"num_workers": True}, "Cluster field 'num_workers' must be a whole number"),
        ("2.1/clusters/create", {"spark_conf": "s3cret"}, "Cluster field 'spark_conf' must be an object."),
        ("2.2/jobs/create", {"tasks": {}}, "Job setting 'tasks' must be a list"),
        ("2.2/jobs/create", {"max_concurrent_runs": "2"}, "Job setting 'max_concurrent_runs' must be a whole number"),
        ("2.2/jobs/create", {"tasks": [{"task_key": "a", "max_retries": "1"}]}, "field 'max_retries' must be a whole"),
    ],
)
def test_a_field_of_another_json_type_is_refused_by_its_name(
    client: WorkspaceClient, single_node: dict[str, Any], path: str, body: dict[str, Any], text: str
) -> None:
    sound = single_node if "clusters" in path else {"name": "lab"}
    with pytest.raises(InvalidParameterValue, match=text) as refused:
        client.api_client.do("POST", f"/api/{path}", body={**sound, **body})
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (OSError(28, "No space left on device"), "the local cloud can't write its state: No space left on device"),
        (KeyError("-".join(("a", "secret", "value"))), "the local cloud failed (KeyError); its log says where"),
    ],
)
def test_a_fault_is_answered_as_json_and_logged_without_its_values(
    address: str,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: Exception,
    message: str,
) -> None:
    def broken(*_: object) -> None:
        raise fault

    monkeypatch.setattr(workspace.secrets, "scope", broken)
    answer = httpx.get(
        f"{address}/api/2.0/secrets/list", params={"scope": "lab"}, headers={"Authorization": "Bearer the-token"}
    )
    assert (answer.status_code, answer.json()["error_code"]) == (500, "INTERNAL_ERROR")
    assert answer.json()["message"] == message
    assert ("in broken" in caplog.text) is isinstance(fault, KeyError)
    assert "a-secret-value" not in caplog.text


def test_what_the_path_names_cannot_be_renamed_by_the_body(client: WorkspaceClient, cluster: str) -> None:
    client.users.create(user_name="ada@example.com")
    entry = {"user_name": "ada@example.com", "permission_level": "CAN_RESTART"}
    body = {"object_id": "other", "kind": "jobs", "access_control_list": [entry]}
    answer = client.api_client.do("PATCH", f"/api/2.0/permissions/clusters/{cluster}", body=body)
    assert answer["object_id"] == f"/clusters/{cluster}"


def test_the_developer_is_an_administrator(client: WorkspaceClient) -> None:
    me = client.current_user.me()
    assert "@" in (me.user_name or "")
    assert "admins" in [group.display for group in me.groups or []]


def test_a_cluster_starts_runs_and_stops(client: WorkspaceClient, single_node: dict[str, Any]) -> None:
    made = client.clusters.create_and_wait(
        **{
            **single_node,
            "kind": compute.Kind.CLASSIC_PREVIEW,
            "data_security_mode": compute.DataSecurityMode.SINGLE_USER,
        }
    )
    assert made.state is compute.State.RUNNING
    assert made.single_user_name == client.current_user.me().user_name
    stopped = client.clusters.delete_and_wait(made.cluster_id)
    assert stopped.state is compute.State.TERMINATED
    assert client.clusters.start_and_wait(made.cluster_id).state is compute.State.RUNNING
    types = [event.type for event in client.clusters.events(made.cluster_id)]
    assert types[0] is compute.EventType.RUNNING
    assert types[-1] is compute.EventType.CREATING
    client.clusters.permanent_delete(made.cluster_id)
    with pytest.raises(NotFound, match=f"Cluster {made.cluster_id} does not exist"):
        client.clusters.get(made.cluster_id)


def test_the_sdks_selectors_find_a_spark_version_and_a_node_type(client: WorkspaceClient) -> None:
    assert client.clusters.select_spark_version(long_term_support=True, scala="2.13") == "18.x-scala2.13"
    assert client.clusters.select_node_type(min_cores=4)


def test_lists_come_in_pages(client: WorkspaceClient, task: Any) -> None:
    for number in range(45):
        client.jobs.create(name=f"job {number}", tasks=[jobs.Task.from_dict(task("generate"))])
    names = [job.settings.name for job in client.jobs.list() if job.settings]
    assert names == [f"job {number}" for number in reversed(range(45))]
    first = client.api_client.do("GET", "/api/2.2/jobs/list", query={"limit": 20})
    assert first["has_more"]
    with pytest.raises(InvalidParameterValue, match="limit must be between 1 and 100, not 101"):
        client.api_client.do("GET", "/api/2.2/jobs/list", query={"limit": 101})


def test_a_job_runs_with_its_parameters_and_its_output_can_be_read(
    client: WorkspaceClient, task: Any, drivers: Any, workspace: Workspace
) -> None:
    wheel = {
        "package_name": "streaming_lab",
        "entry_point": "generate",
        "parameters": ["--scale={{job.parameters.scale}}"],
    }
    made = client.jobs.create(
        name="exercises",
        parameters=[jobs.JobParameterDefinition(name="scale", default="1")],
        tasks=[
            jobs.Task.from_dict(task("generate", python_wheel_task=wheel)),
            jobs.Task.from_dict(task("concepts", "generate")),
        ],
    )
    drivers.behaviour["concepts"] = "wait"
    waiter = client.jobs.run_now(made.job_id, job_parameters={"scale": "0.1"})
    handle = drivers.task("concepts")
    handle.spec.log.write_text("hello\n")
    handle.finish("FAILED", "ValueError: no rows", "Traceback …\nValueError: no rows")
    with pytest.raises(Exception, match=r"failed to reach TERMINATED or SKIPPED, got RunLifeCycleState.INTERNAL_ERROR"):
        waiter.result()
    run = client.jobs.get_run(waiter.run_id)
    assert run.state and run.state.state_message == "Task concepts failed with message: ValueError: no rows."
    assert run.status and run.status.termination_details
    assert run.status.termination_details.code is jobs.TerminationCodeCode.RUN_EXECUTION_ERROR
    by_key = {item.task_key: item for item in run.tasks or []}
    assert drivers.task("generate").spec.parameters == ["--scale=0.1"]
    output = client.jobs.get_run_output(by_key["concepts"].run_id)
    assert (output.logs, output.error) == ("hello\n", "ValueError: no rows")
    assert "Traceback" in (output.error_trace or "")
    with pytest.raises(InvalidParameterValue, match="output of runs with multiple tasks is not supported"):
        client.jobs.get_run_output(waiter.run_id)


def test_only_the_last_5_mb_of_a_log_are_answered(
    client: WorkspaceClient, job: Any, task: Any, run: Any, drivers: Any
) -> None:
    done = run(job(task("generate")))
    drivers.task("generate").spec.log.write_bytes(b"first" + b"x" * (5 * 1024 * 1024))
    output = client.jobs.get_run_output(done["tasks"][0]["run_id"])
    assert output.logs_truncated and len(output.logs or "") == 5 * 1024 * 1024 and "first" not in (output.logs or "")


def test_runs_can_be_listed_canceled_and_deleted(client: WorkspaceClient, job: Any, task: Any, drivers: Any) -> None:
    drivers.behaviour["generate"] = "wait"
    job_id = job(task("generate"))
    waiter = client.jobs.run_now(job_id)
    drivers.task("generate")
    assert [run.run_id for run in client.jobs.list_runs(job_id=job_id, active_only=True)] == [waiter.run_id]
    with pytest.raises(InvalidParameterValue, match="is active"):
        client.jobs.delete_run(waiter.run_id)
    run = client.jobs.cancel_run_and_wait(waiter.run_id)
    assert run.state and run.state.result_state is jobs.RunResultState.CANCELED
    assert drivers.task("generate").asked_to_stop
    assert not list(client.jobs.list_runs(job_id=job_id, active_only=True))
    client.jobs.delete_run(waiter.run_id)
    with pytest.raises(DatabricksError, match=f"Run {waiter.run_id} does not exist"):
        client.jobs.get_run(waiter.run_id)


def test_a_one_time_run_belongs_to_no_job(client: WorkspaceClient, task: Any) -> None:
    run = client.jobs.submit_and_wait(run_name="once", tasks=[jobs.SubmitTask.from_dict(task("generate"))])
    assert run.run_type is jobs.RunType.SUBMIT_RUN
    assert run.state and run.state.result_state is jobs.RunResultState.SUCCESS
    assert not list(client.jobs.list())


def test_secrets_are_written_read_and_listed(client: WorkspaceClient) -> None:
    client.secrets.create_scope("lab")
    client.secrets.put_secret("lab", "Storage-Key", string_value="a value")
    client.secrets.put_secret("lab", "bytes", bytes_value=base64.b64encode(b"\x00\xff").decode())
    assert client.dbutils.secrets.get("lab", "storage-key") == "a value"
    assert base64.b64decode(client.secrets.get_secret("lab", "bytes").value or "") == b"\x00\xff"
    assert [secret.key for secret in client.secrets.list_secrets("lab")] == ["Storage-Key", "bytes"]
    with pytest.raises(NotFound, match="Secret does not exist with scope: lab and key: none"):
        client.secrets.get_secret("lab", "none")
    with pytest.raises(ResourceAlreadyExists, match="Scope lab already exists!"):
        client.secrets.create_scope("lab")
    client.secrets.delete_scope("lab")
    assert not list(client.secrets.list_scopes())


def test_files_and_notebooks_are_uploaded_listed_and_downloaded(client: WorkspaceClient) -> None:
    client.workspace.mkdirs("/Shared/lab/control")
    client.workspace.upload("/Shared/lab/a.whl", io.BytesIO(b"wheel"), format=workspace.ImportFormat.RAW)
    notebook = b"# Databricks notebook source\nprint(1)\n"
    client.workspace.upload("/Shared/lab/one.py", io.BytesIO(notebook), format=workspace.ImportFormat.AUTO)
    client.workspace.import_(
        "/Shared/lab/two",
        content=base64.b64encode(notebook).decode(),
        language=workspace.Language.PYTHON,
        format=workspace.ImportFormat.SOURCE,
    )
    listed = {item.path: item.object_type for item in client.workspace.list("/Shared/lab", recursive=True)}
    assert listed == {
        "/Shared/lab/a.whl": workspace.ObjectType.FILE,
        "/Shared/lab/one": workspace.ObjectType.NOTEBOOK,
        "/Shared/lab/two": workspace.ObjectType.NOTEBOOK,
    }
    assert client.workspace.download("/Workspace/Shared/lab/a.whl").read() == b"wheel"
    with pytest.raises(ResourceAlreadyExists) as refusal:
        client.workspace.upload("/Shared/lab/a.whl", io.BytesIO(b"new"), format=workspace.ImportFormat.RAW)
    assert "Path (/Shared/lab/a.whl) already exists." in str(refusal.value)
    client.workspace.upload("/Shared/lab/a.whl", io.BytesIO(b"new"), format=workspace.ImportFormat.RAW, overwrite=True)
    assert client.workspace.download("/Shared/lab/a.whl").read() == b"new"
    with pytest.raises(DatabricksError, match=r"Folder \(/Shared/lab\) is not empty"):
        client.workspace.delete("/Shared/lab")
    client.workspace.delete("/Shared/lab", recursive=True)
    with pytest.raises(NotFound, match=r"Path \(/Shared/lab\) doesn't exist."):
        client.workspace.get_status("/Shared/lab")


def test_permissions_are_replaced_and_added_to(client: WorkspaceClient, cluster: str) -> None:
    client.users.create(user_name="ada@example.com")
    given = [iam.AccessControlRequest(user_name="ada@example.com", permission_level=iam.PermissionLevel.CAN_RESTART)]
    client.permissions.set("clusters", cluster, access_control_list=given)
    group = [iam.AccessControlRequest(group_name="users", permission_level=iam.PermissionLevel.CAN_ATTACH_TO)]
    answer = client.permissions.update("clusters", cluster, access_control_list=group)
    held = {item.user_name or item.group_name: item.all_permissions for item in answer.access_control_list or []}
    assert set(held) == {"ada@example.com", "users", "admins"}
    assert held["admins"] and held["admins"][0].inherited
    with pytest.raises(NotFound, match=r"Principal: eve@example.com does not exist"):
        client.permissions.set(
            "clusters",
            cluster,
            access_control_list=[
                iam.AccessControlRequest(user_name="eve@example.com", permission_level=iam.PermissionLevel.CAN_MANAGE)
            ],
        )


def test_users_are_found_by_name_and_made_once(client: WorkspaceClient) -> None:
    made = client.users.create(user_name="ada@example.com", display_name="Ada")
    assert [user.id for user in client.users.list(filter='userName eq "ADA@example.com"')] == [made.id]
    with pytest.raises(DatabricksError, match=r"User with username ada@example.com already exists"):
        client.users.create(user_name="ada@example.com")
    client.users.delete(made.id)
    with pytest.raises(DatabricksError, match=f"User with id {made.id} not found"):
        client.users.get(made.id)


def test_a_policy_is_made_read_edited_and_deleted(client: WorkspaceClient) -> None:
    made = client.cluster_policies.create(
        name="lab", definition='{"autotermination_minutes": {"type": "fixed", "value": 20}}'
    )
    client.cluster_policies.edit(made.policy_id or "", name="lab 2", definition="{}")
    assert [policy.name for policy in client.cluster_policies.list()] == ["lab 2"]
    client.cluster_policies.delete(made.policy_id or "")
    with pytest.raises(NotFound):
        client.cluster_policies.get(made.policy_id or "")


def test_storage_is_reached_through_the_metastore(
    client: WorkspaceClient, arm: Any, group: str, storage: str, connector: str
) -> None:
    identity = catalog.AzureManagedIdentityRequest(access_connector_id=connector)
    client.storage_credentials.create(name="cred-dev", azure_managed_identity=identity)
    url = "abfss://lab@stlab.dfs.core.windows.net/"
    with pytest.raises(PermissionDenied, match="Managed Identity does not have READ permissions on url"):
        client.external_locations.create(name="loc-dev", url=url, credential_name="cred-dev")
    _assign(arm, group, connector)
    client.external_locations.create(name="loc-dev", url=url, credential_name="cred-dev")
    with pytest.raises(DatabricksError, match="overlaps with other external locations"):
        client.external_locations.create(name="loc-2", url=url + "deep", credential_name="cred-dev")
    with pytest.raises(DatabricksError, match="dependent external location"):
        client.storage_credentials.delete("cred-dev")
    change = catalog.PermissionsChange(principal="account users", add=[catalog.Privilege.READ_FILES])
    client.grants.update("external_location", "loc-dev", changes=[change])
    granted = client.grants.get("external_location", "loc-dev").privilege_assignments or []
    assert [item.principal for item in granted] == ["account users"]
    client.external_locations.delete("loc-dev")
    client.storage_credentials.delete("cred-dev")
    assert not list(client.external_locations.list()) and not list(client.storage_credentials.list())


def _assign(arm: Any, group: str, connector: str) -> None:
    principal = arm.get(connector)["identity"]["principalId"]
    role = "/providers/Microsoft.Authorization/roleDefinitions/ba92f5b4-2d11-453d-a403-e96b0029c9fe"
    scope = f"{group}/providers/Microsoft.Storage/storageAccounts/stlab"
    arm.put(
        f"{scope}/providers/Microsoft.Authorization/roleAssignments/7f1f1c1e-0000-4000-8000-000000000001",
        {"properties": {"roleDefinitionId": role, "principalId": principal, "principalType": "ServicePrincipal"}},
    )
