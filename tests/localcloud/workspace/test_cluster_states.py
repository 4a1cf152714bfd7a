"""What a cluster answers in each of its states, and a stop that overtakes a start."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue
from databricks.sdk.service import compute

from localcloud.arm import Arm
from localcloud.errors import DatabricksError
from localcloud.providers.databricks_compute import Cluster
from localcloud.workspace import Caller, Workspace, Workspaces
from localcloud.workspace.mounts import StartError
from tests.command import wait_until

Body = dict[str, Any]


class Later:
    """Background work that waits until the test runs it."""

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []

    def __call__(self, work: Callable[[], None]) -> None:
        self.work.append(work)

    def run(self) -> None:
        while self.work:
            self.work.pop(0)()


@pytest.fixture
def later(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Later:
    later = Later()
    monkeypatch.setattr(workspace.clusters, "_spawn", later)
    return later


def test_a_new_cluster_is_pending_and_then_runs(
    workspace: Workspace, single_node: Body, later: Later, drivers: Any
) -> None:
    made = workspace.clusters.create(single_node, workspace.developer)
    assert (made["state"], drivers.made) == ("PENDING", [])
    later.run()
    assert workspace.clusters.get(made["cluster_id"])["state"] == "RUNNING"


def test_a_cluster_that_nobody_uses_stops_after_its_minutes(
    workspace: Workspace, workspaces: Workspaces, single_node: Body, clock: Any
) -> None:
    cluster = workspace.clusters.create(single_node, workspace.developer)["cluster_id"]
    clock.advance(minutes=30)
    workspaces.check()
    assert workspace.clusters.get(cluster)["termination_reason"]["code"] == "INACTIVITY"


def test_a_stop_overtakes_a_start_that_has_not_begun(
    workspace: Workspace, cluster: str, later: Later, drivers: Any
) -> None:
    workspace.clusters.start(cluster, workspace.developer)
    (start,) = later.work
    later.work.clear()
    workspace.clusters.terminate(cluster, workspace.developer)
    later.run()
    start()
    assert workspace.clusters.get(cluster)["state"] == "TERMINATED"
    assert not drivers.made
    assert workspace.clusters.get(cluster)["termination_reason"]["code"] == "USER_REQUEST"


def test_a_stop_ends_a_driver_that_comes_up_late(
    workspace: Workspace, cluster: str, drivers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = drivers(workspace.drivers._settings, None)
    monkeypatch.setattr(workspace.drivers, "_make", lambda *_: driver)
    stopped = driver.stop

    def start() -> None:
        # The request to stop arrives when the driver no longer hears it.
        monkeypatch.setattr(driver, "stop", lambda: None)
        threading.Thread(target=workspace.clusters.terminate, args=(cluster, workspace.developer)).start()
        wait_until(lambda: workspace.drivers.stops(cluster), "the request to stop")
        monkeypatch.setattr(driver, "stop", stopped)
        driver.alive = True

    monkeypatch.setattr(driver, "start", start)
    with pytest.raises(StartError, match="terminated while it started"):
        workspace.drivers.start(cluster)
    with workspace.drivers.installed(cluster):
        assert not driver.alive
    assert workspace.drivers.running(cluster) is None


def test_a_run_waits_for_the_end_of_a_termination(
    workspace: Workspace, single_node: Body, drivers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = workspace.clusters.create(single_node, workspace.developer)["cluster_id"]
    later = Later()
    monkeypatch.setattr(workspace.clusters, "_spawn", later)
    workspace.clusters.terminate(cluster, workspace.developer)
    got: list[Any] = []
    run = threading.Thread(target=lambda: got.append(workspace.drivers.start(cluster)))
    run.start()
    later.run()
    run.join(20)
    assert got == [drivers.made[1]]
    assert workspace.clusters.get(cluster)["state"] == "RUNNING"


@pytest.mark.parametrize("state", ["PENDING", "TERMINATING", "RESTARTING"])
def test_a_cluster_between_states_refuses_start_restart_and_edit(
    workspace: Workspace, single_node: Body, cluster: str, later: Later, state: str
) -> None:
    reach = {"PENDING": [], "TERMINATING": ["terminate"], "RESTARTING": ["restart"]}[state]
    workspace.clusters.start(cluster, workspace.developer)
    if reach:
        later.run()
    for name in reach:
        getattr(workspace.clusters, name)(cluster, workspace.developer)
    assert workspace.clusters.get(cluster)["state"] == state
    for call in (
        lambda: workspace.clusters.start(cluster, workspace.developer),
        lambda: workspace.clusters.restart(cluster, workspace.developer),
        lambda: workspace.clusters.edit(cluster, single_node, workspace.developer),
    ):
        with pytest.raises(DatabricksError, match=f"is in unexpected state {state.capitalize()}") as refused:
            call()
        assert (refused.value.status, refused.value.code) == (400, "INVALID_STATE")
    later.run()


def test_the_provider_repeats_an_edit_until_it_is_allowed(
    workspaces: Workspaces, workspace: Workspace, single_node: Body, later: Later
) -> None:
    cluster = workspace.clusters.create(single_node, workspace.developer)["cluster_id"]
    body = {**single_node, "autotermination_minutes": 45}
    edit = threading.Thread(target=Cluster(workspaces).change, args=(workspace, cluster, body))
    refused = threading.Event()
    check = workspace.clusters._require_state

    def watch(*arguments: Any) -> None:
        try:
            check(*arguments)
        except DatabricksError:
            refused.set()
            raise

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workspace.clusters, "_require_state", watch)
        edit.start()
        assert refused.wait(20)
        later.run()
        edit.join(20)
    assert workspace.clusters.get(cluster)["autotermination_minutes"] == 45
    later.run()


def test_the_sdk_waits_out_a_state_that_forbids_a_start(client: WorkspaceClient, cluster: str) -> None:
    client.clusters.start_and_wait(cluster)
    client.clusters.ensure_cluster_is_running(cluster)
    assert client.clusters.get(cluster).state is compute.State.RUNNING


def test_a_restart_never_shows_a_terminated_cluster(
    workspace: Workspace, single_node: Body, drivers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = workspace.clusters.create(single_node, workspace.developer)["cluster_id"]
    states: list[str] = []
    put = workspace.clusters._records.put

    def watch(record: Body) -> None:
        states.append(record["state"])
        put(record)

    monkeypatch.setattr(workspace.clusters._records, "put", watch)
    workspace.clusters.restart(cluster, workspace.developer)
    assert set(states[:-1]) == {"RESTARTING"}
    assert states[-1] == "RUNNING"
    assert [driver.alive for driver in drivers.made] == [False, True]


def test_pinned_clusters_can_be_listed_and_unpinned(
    client: WorkspaceClient, cluster: str, workspace: Workspace
) -> None:
    def pinned(wanted: bool) -> list[str | None]:
        filters = compute.ListClustersFilterBy(is_pinned=wanted)
        return [found.cluster_id for found in client.clusters.list(filter_by=filters, page_size=100)]

    assert (pinned(True), pinned(False)) == ([], [cluster])
    client.clusters.pin(cluster)
    client.clusters.pin(cluster)
    assert (pinned(True), pinned(False)) == ([cluster], [])
    with pytest.raises(InvalidParameterValue, match="Please ask an admin to unpin the cluster first"):
        client.clusters.permanent_delete(cluster)
    client.clusters.unpin(cluster)
    assert pinned(True) == []
    types = [event.type for event in client.clusters.events(cluster)]
    assert types[:2] == [compute.EventType.UNPINNED, compute.EventType.PINNED]
    with pytest.raises(DatabricksError, match="Only administrators can pin"):
        workspace.clusters.pin(cluster, Caller("ada@example.com"))


def test_clusters_are_listed_by_state_source_and_policy(
    client: WorkspaceClient, workspace: Workspace, cluster: str, single_node: Body
) -> None:
    policy = workspace.policies.create({"name": "lab", "definition": "{}"}, workspace.developer)["policy_id"]
    running = workspace.clusters.create({**single_node, "policy_id": policy}, workspace.developer)["cluster_id"]

    def listed(**filters: Any) -> list[str | None]:
        found = client.clusters.list(filter_by=compute.ListClustersFilterBy(**filters))
        return [item.cluster_id for item in found]

    assert listed(cluster_states=[compute.State.RUNNING, compute.State.PENDING]) == [running]
    assert listed(cluster_states=[compute.State.TERMINATED]) == [cluster]
    assert listed(policy_id=policy) == [running]
    assert listed(cluster_sources=[compute.ClusterSource.API]) == [running, cluster]
    assert listed(cluster_sources=[compute.ClusterSource.JOB]) == []


def test_a_clusters_default_tags_hold_the_workspaces_own(
    client: WorkspaceClient, workspace: Workspace, cluster: str, arm: Arm
) -> None:
    document = arm.get(workspace.info.resource_id)
    assert document
    arm.put(workspace.info.resource_id, {**document, "tags": {"course": "dp-203"}})
    assert client.clusters.get(cluster).default_tags == {
        "Vendor": "Databricks",
        "Creator": workspace.developer.user_name,
        "ClusterName": "lab",
        "ClusterId": cluster,
        "course": "dp-203",
    }


def test_node_types_tell_their_local_disks(client: WorkspaceClient) -> None:
    types = {item.node_type_id: item.node_instance_type for item in client.clusters.list_node_types().node_types or []}
    assert all(types.values())
    disks = {name: (item.local_disks, item.local_disk_size_gb) for name, item in types.items() if item}
    assert disks["Standard_D4ds_v5"] == (1, 150)
    assert disks["Standard_D4s_v5"] == (0, 0)
    assert client.clusters.select_node_type(local_disk=True, min_cores=4)
