"""What a student may do with the token of her cluster, asked by the published databricks-sdk."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound, PermissionDenied
from databricks.sdk.service import iam, jobs
from databricks.sdk.service.workspace import ImportFormat

from localcloud.workspace import Workspace
from localcloud.workspace.people import DEVELOPER

ADA = "ada@example.com"
HERS, THEIRS = f"/Users/{ADA}", f"/Users/{DEVELOPER}"


@pytest.fixture
def ada(
    client: WorkspaceClient,
    workspace: Workspace,
    single_node: dict[str, Any],
    drivers: Any,
    student_client: Callable[[str], WorkspaceClient],
) -> WorkspaceClient:
    client.users.create(user_name=ADA)
    workspace.clusters.create({**single_node, "single_user_name": ADA}, workspace.developer)
    return student_client(drivers.made[-1].spec.token)


def may(level: iam.PermissionLevel, user: str = ADA) -> list[iam.AccessControlRequest]:
    return [iam.AccessControlRequest(user_name=user, permission_level=level)]


def put(client: WorkspaceClient, path: str, content: bytes = b"1", overwrite: bool = False) -> None:
    client.workspace.upload(path, io.BytesIO(content), format=ImportFormat.RAW, overwrite=overwrite)


def test_nobody_gives_herself_a_right_that_she_does_not_hold(
    ada: WorkspaceClient, client: WorkspaceClient, cluster: str, job: Any, task: Any
) -> None:
    job_id = str(job(task("generate")))
    policy = str(client.cluster_policies.create(name="lab", definition="{}").policy_id)
    home = str(client.workspace.get_status(THEIRS).object_id)
    manage = may(iam.PermissionLevel.CAN_MANAGE)
    for kind, object_id in (("clusters", cluster), ("jobs", job_id), ("directories", home)):
        for change in (ada.permissions.set, ada.permissions.update):
            with pytest.raises(PermissionDenied, match=f"{ADA} does not have permission to change the access list of"):
                change(kind, object_id, access_control_list=manage)
    with pytest.raises(PermissionDenied):
        ada.permissions.set("cluster-policies", policy, access_control_list=may(iam.PermissionLevel.CAN_USE))
    client.permissions.update("clusters", cluster, access_control_list=manage)
    ada.permissions.update("clusters", cluster, access_control_list=may(iam.PermissionLevel.CAN_RESTART, DEVELOPER))


def test_the_home_of_another_is_closed(ada: WorkspaceClient, client: WorkspaceClient) -> None:
    put(client, f"{THEIRS}/notes")
    with pytest.raises(PermissionDenied, match=f"does not have CAN_READ permissions on {THEIRS}/notes"):
        ada.workspace.download(f"{THEIRS}/notes")
    for use in (
        lambda: ada.workspace.get_status(THEIRS),
        lambda: list(ada.workspace.list(THEIRS)),
        lambda: put(ada, f"{THEIRS}/notes", overwrite=True),
        lambda: put(ada, f"{THEIRS}/more"),
        lambda: ada.workspace.mkdirs(f"{THEIRS}/folder"),
        lambda: ada.workspace.mkdirs("/Users/eve@example.com"),
        lambda: ada.workspace.delete(f"{THEIRS}/notes"),
        lambda: ada.workspace.delete(THEIRS, recursive=True),
        lambda: ada.api_client.do(
            "POST",
            f"/api/2.0/workspace-files/import-file{THEIRS}/notes?overwrite=true",
            headers={"Content-Type": "application/octet-stream"},
            data=b"2",
        ),
    ):
        with pytest.raises(PermissionDenied, match=f"{ADA} does not have CAN_"):
            use()
    assert client.workspace.download(f"{THEIRS}/notes").read() == b"1"
    assert [item.path for item in ada.workspace.list("/Users")] == [HERS]


@pytest.mark.parametrize("folder", [HERS, "/Shared"])
def test_her_own_home_and_shared_folders_are_open(ada: WorkspaceClient, folder: str) -> None:
    ada.workspace.mkdirs(f"{folder}/control/progress")
    put(ada, f"{folder}/control/progress/live-windows.json")
    put(ada, f"{folder}/control/progress/live-windows.json", b"2", overwrite=True)
    assert ada.workspace.download(f"{folder}/control/progress/live-windows.json").read() == b"2"
    with pytest.raises(NotFound):
        ada.workspace.download(f"{folder}/control/stop.json")
    ada.workspace.delete(f"{folder}/control", recursive=True)


def test_a_right_on_a_folder_holds_for_all_that_is_in_it(ada: WorkspaceClient, client: WorkspaceClient) -> None:
    put(client, f"{THEIRS}/notes")
    folder = str(client.workspace.get_status(THEIRS).object_id)
    client.permissions.update("directories", folder, access_control_list=may(iam.PermissionLevel.CAN_EDIT))
    put(ada, f"{THEIRS}/notes", b"2", overwrite=True)
    assert ada.workspace.download(f"{THEIRS}/notes").read() == b"2"
    with pytest.raises(PermissionDenied, match="CAN_MANAGE"):
        put(ada, f"{THEIRS}/more")
    with pytest.raises(PermissionDenied, match="CAN_MANAGE"):
        ada.workspace.delete(f"{THEIRS}/notes")


def test_only_an_administrator_lets_a_job_run_as_somebody_else(
    ada: WorkspaceClient, client: WorkspaceClient, task: Any, job: Any
) -> None:
    other = jobs.JobRunAs(user_name=DEVELOPER)
    with pytest.raises(PermissionDenied, match=f"{ADA} is not allowed to run a job as {DEVELOPER}"):
        ada.jobs.create(name="mine", tasks=[jobs.Task.from_dict(task("generate"))], run_as=other)
    with pytest.raises(PermissionDenied, match="is not allowed to run a job as"):
        ada.jobs.submit(tasks=[jobs.SubmitTask.from_dict(task("generate"))], run_as=other)
    own = jobs.JobRunAs(user_name=ADA)
    hers = ada.jobs.create(name="mine", tasks=[jobs.Task.from_dict(task("generate"))], run_as=own).job_id
    with pytest.raises(PermissionDenied, match="is not allowed to run a job as"):
        ada.jobs.update(hers, new_settings=jobs.JobSettings(run_as=other))
    client.jobs.update(hers, new_settings=jobs.JobSettings(run_as=other))
    ada.jobs.update(hers, new_settings=jobs.JobSettings(name="renamed"))
    assert ada.jobs.get(hers).run_as_user_name == DEVELOPER


def test_a_job_reads_only_what_its_identity_may_read(
    ada: WorkspaceClient, client: WorkspaceClient, workspace: Workspace, single_node: dict[str, Any], run: Any, job: Any
) -> None:
    workspace.files.write(f"{THEIRS}/private", b"# Databricks notebook source\n", "SOURCE", "PYTHON")
    (hers,) = [found for found in workspace.clusters.all() if found.get("single_user_name") == ADA]
    client.permissions.update("clusters", hers["cluster_id"], access_control_list=may(iam.PermissionLevel.CAN_MANAGE))
    notebook = {"notebook_path": f"{THEIRS}/private"}
    task = {"task_key": "one", "existing_cluster_id": hers["cluster_id"], "notebook_task": notebook}
    done = run(job(task, run_as={"user_name": ADA}))
    assert f"does not have CAN_READ permissions on {THEIRS}/private" in done["tasks"][0]["state"]["state_message"]
    assert done["tasks"][0]["status"]["termination_details"]["code"] == "UNAUTHORIZED_ERROR"
