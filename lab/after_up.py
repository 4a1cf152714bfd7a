"""What `lab up` does after the engine: stop the machine that nobody uses yet, and leave only the new code."""

from __future__ import annotations

import time
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from lab.clouds import Cloud
from lab.errors import LabError
from lab.report import Report
from lab.runs import Workspace
from lab.state import State

if TYPE_CHECKING:
    from databricks.sdk.service.compute import State as ClusterState

CLUSTER = "databricks:index/cluster:Cluster"
_WORKSPACE = "azure-native:databricks:Workspace"


def stop_cluster(cloud: Cloud, state: State, report: Report) -> None:
    """Terminate the cluster that the engine has just created: it starts with its creation, and runs can start it."""
    from databricks.sdk.errors.base import DatabricksError

    cluster, workspace = _recorded(state, CLUSTER), _recorded(state, _WORKSPACE)
    if not cluster or not workspace:
        return
    report.now("stopping the new cluster")
    address = {"workspaceUrl": workspace["outputs"]["workspaceUrl"], "workspaceResourceId": workspace["id"]}
    try:
        # Without waiting for its end.
        cloud.workspace(address).clusters.delete(cluster["id"])
    except (DatabricksError, LabError) as problem:
        report.line("cluster", f"it was not stopped ({problem}); it stops by itself when it has been idle")


def renew_code(cloud: Cloud, outputs: dict[str, Any], report: Report) -> None:
    """Detach every other version of the jobs' wheel from the cluster, and delete its file.

    Wheels of tasks stay attached to an all-purpose cluster, and after its next start the old code may hide the new
    (dbx#834). A running cluster that has loaded an old one is restarted, unless a run is active: it may still need the
    old file (databricks/cli#2958), so the next `lab up` finishes this.
    """
    if "exercisesJobId" not in outputs:
        return
    from databricks.sdk.errors.base import DatabricksError

    report.now("looking for earlier versions of the code")
    try:
        _renew_code(Workspace(cloud.workspace(outputs), outputs, cloud.poll_seconds), report)
    except (DatabricksError, LabError) as problem:
        report.line("code", f"earlier versions were not removed ({problem}); run lab up again to remove them")


def _renew_code(workspace: Workspace, report: Report) -> None:
    from databricks.sdk.service.compute import Library, LibraryInstallStatus

    client, cluster_id, wheel = workspace.client, str(workspace.outputs["clusterId"]), str(workspace.outputs["wheel"])
    attached = {
        str(status.library.whl): status.status
        for status in client.libraries.cluster_status(cluster_id)
        if status.library and _is_other_version(status.library.whl, wheel)
    }
    folder = PurePosixPath(wheel.removeprefix("/Workspace")).parent
    files = [str(file.path) for file in client.workspace.list(str(folder)) if _is_other_version(file.path, wheel)]
    marked = LibraryInstallStatus.UNINSTALL_ON_RESTART
    if new := [Library(whl=path) for path, status in attached.items() if status is not marked]:
        client.libraries.uninstall(cluster_id, new)
    if (attached or files) and _is_in_use(workspace):
        report.line("code", "the run under way keeps the code it started with; later runs use the new code")
        return
    if any(status in (LibraryInstallStatus.INSTALLED, marked) for status in attached.values()):
        _restart(workspace, cluster_id, report)
    for path in files:
        client.workspace.delete(path)


def _restart(workspace: Workspace, cluster_id: str, report: Report) -> None:
    """Restart the cluster if it runs; a stopped one drops the old code when it starts."""
    from databricks.sdk.service.compute import State as ClusterState

    moving = (ClusterState.PENDING, ClusterState.RESTARTING, ClusterState.RESIZING)
    while (state := _state(workspace, cluster_id)) in moving:
        report.now("waiting for the cluster, which starts")
        time.sleep(workspace.poll_seconds)
    if state is ClusterState.RUNNING:
        workspace.client.clusters.restart(cluster_id)
        report.line("cluster", "restarting, so that it runs the new code alone")


def _state(workspace: Workspace, cluster_id: str) -> ClusterState | None:
    return workspace.client.clusters.get(cluster_id).state


def _is_in_use(workspace: Workspace) -> bool:
    return bool(workspace.active(workspace.exercises_job) or workspace.active(workspace.live_job))


def _is_other_version(path: str | None, wheel: str) -> bool:
    """Whether a file is the jobs' wheel in another version; the names differ after the first hyphen alone."""
    name, own = PurePosixPath(path or "").name, PurePosixPath(wheel).name
    return name != own and name.endswith(".whl") and name.split("-")[0] == own.split("-")[0]


def _recorded(state: State, type_: str) -> dict[str, Any] | None:
    """The stack's resource of a type; one that is to be deleted after its replacement does not count."""
    return next((one for one in state.own if one["type"] == type_ and not one.get("delete")), None)
