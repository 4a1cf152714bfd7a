"""Wheels of tasks stay attached to their cluster, and what that does to new code."""

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, PermissionDenied
from databricks.sdk.service import compute

from localcloud.workspace import Workspace

State = compute.LibraryInstallStatus


@pytest.fixture
def wheel_of(workspace: Workspace) -> Callable[[str], str]:
    """Uploads a wheel of package `streaming_lab` with this version; returns its path as a library."""

    def upload(version: str) -> str:
        path = f"/Shared/streaming_lab-{version}-py3-none-any.whl"
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("streaming_lab/__init__.py", f"version = {version!r}")
        workspace.files.write(path, packed.getvalue(), "RAW")
        return f"/Workspace{path}"

    return upload


@pytest.fixture
def run_with(job: Any, task: Any, run: Any, drivers: Any) -> Callable[[str], list[str]]:
    """Runs a task with a wheel; returns the versions on its path, in the order of import."""

    def run_(path: str) -> list[str]:
        done = run(job(task("generate", libraries=[{"whl": path}])))
        assert done["state"]["result_state"] == "SUCCESS", done["state"]
        return [wheel.name.split("-")[1] for wheel in drivers.tasks[-1].spec.wheels]

    return run_


def statuses(client: WorkspaceClient, cluster: str) -> list[tuple[str, State | None]]:
    found = client.libraries.cluster_status(cluster)
    return [(str(item.library and item.library.whl).split("-")[1], item.status) for item in found]


def test_a_running_cluster_imports_the_wheel_that_came_last(wheel_of: Any, run_with: Any) -> None:
    assert run_with(wheel_of("1")) == ["1"]
    assert run_with(wheel_of("2")) == ["2", "1"]


def test_after_a_restart_the_old_code_hides_the_new(
    wheel_of: Any, run_with: Any, workspace: Workspace, cluster: str
) -> None:
    run_with(wheel_of("1"))
    run_with(new := wheel_of("2"))
    workspace.clusters.restart(cluster, workspace.developer)
    assert run_with(new) == ["1", "2"]


def test_an_uninstalled_wheel_goes_with_the_next_restart(
    wheel_of: Any, run_with: Any, workspace: Workspace, cluster: str, client: WorkspaceClient
) -> None:
    run_with(old := wheel_of("1"))
    run_with(new := wheel_of("2"))
    client.libraries.uninstall(cluster, [compute.Library(whl=old), compute.Library(whl="/Workspace/none.whl")])
    assert statuses(client, cluster) == [("2", State.INSTALLED), ("1", State.UNINSTALL_ON_RESTART)]
    assert run_with(new) == ["2", "1"]
    workspace.clusters.restart(cluster, workspace.developer)
    assert statuses(client, cluster) == [("2", State.INSTALLED)]
    assert run_with(new) == ["2"]


def test_a_task_attaches_an_uninstalled_wheel_again(
    wheel_of: Any, run_with: Any, cluster: str, client: WorkspaceClient
) -> None:
    run_with(old := wheel_of("1"))
    client.libraries.uninstall(cluster, [compute.Library(whl=old)])
    run_with(old)
    assert statuses(client, cluster) == [("1", State.INSTALLED)]


def test_wheels_stay_attached_while_the_cluster_is_stopped(
    wheel_of: Any, run_with: Any, workspace: Workspace, cluster: str, client: WorkspaceClient
) -> None:
    run_with(wheel_of("1"))
    workspace.clusters.terminate(cluster, workspace.developer)
    assert statuses(client, cluster) == [("1", State.PENDING)]
    workspace.clusters.start(cluster, workspace.developer)
    assert statuses(client, cluster) == [("1", State.INSTALLED)]


def test_a_cluster_starts_without_a_wheel_whose_file_is_gone(
    wheel_of: Any, run_with: Any, workspace: Workspace, cluster: str, client: WorkspaceClient
) -> None:
    run_with(old := wheel_of("1"))
    workspace.files.delete(old.removeprefix("/Workspace"))
    workspace.clusters.restart(cluster, workspace.developer)
    (status,) = client.libraries.cluster_status(cluster)
    assert (status.status, workspace.clusters.get(cluster)["state"]) == (State.FAILED, "RUNNING")
    assert "doesn't exist" in str(status.messages)


def test_the_libraries_api_attaches_wheels_and_only_wheels(
    wheel_of: Any, cluster: str, client: WorkspaceClient, workspace: Workspace
) -> None:
    library = compute.Library(whl=wheel_of("1"))
    client.libraries.install(cluster, [library])
    assert statuses(client, cluster) == [("1", State.PENDING)]
    workspace.clusters.start(cluster, workspace.developer)
    client.libraries.install(cluster, [library, compute.Library(whl="/Workspace/none-1-py3-none-any.whl")])
    assert statuses(client, cluster) == [("1", State.INSTALLED), ("1", State.FAILED)]
    (other,) = client.libraries.all_cluster_statuses()
    assert (other.cluster_id, len(other.library_statuses or [])) == (cluster, 2)
    with pytest.raises(InvalidParameterValue, match="Library type 'pypi' is not supported"):
        client.libraries.install(cluster, [compute.Library(pypi=compute.PythonPyPiLibrary("simplejson"))])
    workspace.clusters.permanent_delete(cluster, workspace.developer)
    assert client.libraries.all_cluster_statuses() == []


def test_libraries_need_the_right_to_manage_the_cluster(
    wheel_of: Any, workspace: Workspace, single_node: Any, drivers: Any, student_client: Any
) -> None:
    workspace.people.create({"userName": "ada@example.com"})
    body = {**single_node, "single_user_name": "ada@example.com"}
    cluster = workspace.clusters.create(body, workspace.developer)["cluster_id"]
    ada = student_client(drivers.made[0].spec.token)
    with pytest.raises(PermissionDenied, match="'Manage' permissions are required"):
        ada.libraries.uninstall(cluster, [compute.Library(whl=wheel_of("1"))])
