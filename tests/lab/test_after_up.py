"""What `lab up` does after the engine: no machine that nobody asked for, and no code but the new."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from databricks.sdk.errors import PermissionDenied
from databricks.sdk.service.compute import Library, LibraryFullStatus, LibraryInstallStatus, State

from lab import after_up, lifecycle
from lab.engine import UpResult
from lab.errors import LabError
from lab.state import State as StackState

OLD = "/Workspace/Shared/streaming-lab/dev/wheel/streaming_lab-0-py3-none-any.whl"
OTHER = "/Workspace/Shared/other-1-py3-none-any.whl"


class FakeCluster:
    """A cluster with its libraries; a restart drops what is marked."""

    def __init__(self, state=State.RUNNING, attached=()):
        self.looks = [state]
        self.attached = dict(attached)
        self.stopped = []
        self.restarts = 0
        self.refusal = None

    def get(self, cluster_id):
        return SimpleNamespace(state=self.looks.pop(0) if len(self.looks) > 1 else self.looks[0])

    def delete(self, cluster_id):
        if self.refusal:
            raise self.refusal
        self.stopped.append(cluster_id)

    def restart(self, cluster_id):
        self.restarts += 1

    def cluster_status(self, cluster_id):
        if self.refusal:
            raise self.refusal
        return [LibraryFullStatus(library=Library(whl=path), status=status) for path, status in self.attached.items()]

    def uninstall(self, cluster_id, libraries):
        for library in libraries:
            self.attached[library.whl] = LibraryInstallStatus.UNINSTALL_ON_RESTART


@pytest.fixture
def cluster(client):
    client.clusters = client.libraries = FakeCluster(attached={OTHER: LibraryInstallStatus.INSTALLED})
    return client.clusters


@pytest.fixture
def wheels(client, workspace):
    """The paths of the wheels in the workspace: the new one, and one of before."""
    paths = {workspace.outputs["wheel"].removeprefix("/Workspace"), OLD.removeprefix("/Workspace")}
    client.workspace.list = lambda folder: [SimpleNamespace(path=path) for path in sorted(paths) if folder in path]
    client.workspace.delete = paths.remove
    return paths


@pytest.fixture
def cloud(client):
    addresses = []

    def connect(outputs):
        addresses.append(outputs)
        return client

    return SimpleNamespace(workspace=connect, poll_seconds=0, addresses=addresses)


@pytest.fixture
def renew(cloud, workspace, report):
    return lambda: after_up.renew_code(cloud, workspace.outputs, report)


def stack(*resources):
    return StackState([{"custom": True, "outputs": {}, **one} for one in resources], [])


WORKSPACE = {"type": "azure-native:databricks:Workspace", "id": "/w", "outputs": {"workspaceUrl": "adb-1"}}


def test_a_new_cluster_is_stopped(cloud, cluster, report):
    of_before = {"type": after_up.CLUSTER, "id": "old", "delete": True}
    after_up.stop_cluster(cloud, stack(WORKSPACE, of_before, {"type": after_up.CLUSTER, "id": "new"}), report)
    assert cluster.stopped == ["new"]
    assert cloud.addresses == [{"workspaceUrl": "adb-1", "workspaceResourceId": "/w"}]
    assert report.lines == []


@pytest.mark.parametrize("failure", [None, LabError("jobs", "refused")])
def test_a_new_cluster_is_stopped_also_when_up_fails(cloud, cluster, report, failure):
    def up(report):
        if failure:
            raise failure
        return UpResult(2, 2, {})

    record = stack(WORKSPACE, {"type": after_up.CLUSTER, "id": "new"})
    engine = SimpleNamespace(created={after_up.CLUSTER}, up=up, state=lambda: record)
    with pytest.raises(LabError) if failure else nullcontext():
        lifecycle._up(engine, cloud, report)
    assert cluster.stopped == ["new"]


def test_a_cluster_of_before_is_left_alone(cloud, cluster, report):
    engine = SimpleNamespace(created=set(), up=lambda report: UpResult(2, 0, {}))
    lifecycle._up(engine, cloud, report)
    assert cluster.stopped == []


def test_a_cluster_that_cannot_be_stopped_is_one_line(cloud, cluster, report):
    cluster.refusal = PermissionDenied("you may not")
    after_up.stop_cluster(cloud, stack(WORKSPACE, {"type": after_up.CLUSTER, "id": "new"}), report)
    assert report.lines == [
        ("cluster", "it was not stopped (you may not); it stops by itself when it has been idle"),
    ]


def test_without_old_code_nothing_is_restarted_or_deleted(renew, cluster, wheels, report):
    wheels.remove(OLD.removeprefix("/Workspace"))
    before = set(wheels)
    renew()
    assert (cluster.restarts, wheels, report.lines) == (0, before, [])
    assert cluster.attached == {OTHER: LibraryInstallStatus.INSTALLED}


@pytest.mark.parametrize("status", [LibraryInstallStatus.INSTALLED, LibraryInstallStatus.UNINSTALL_ON_RESTART])
def test_a_running_cluster_with_old_code_restarts(renew, cluster, wheels, workspace, report, status):
    cluster.attached |= {OLD: status, workspace.outputs["wheel"]: LibraryInstallStatus.INSTALLED}
    renew()
    assert cluster.restarts == 1
    assert cluster.attached[OLD] is LibraryInstallStatus.UNINSTALL_ON_RESTART
    assert cluster.attached[workspace.outputs["wheel"]] is LibraryInstallStatus.INSTALLED
    assert wheels == {workspace.outputs["wheel"].removeprefix("/Workspace")}
    assert report.lines == [("cluster", "restarting, so that it runs the new code alone")]


def test_a_stopped_cluster_drops_old_code_without_a_start(renew, cluster, wheels, report):
    cluster.looks = [State.TERMINATED]
    cluster.attached[OLD] = LibraryInstallStatus.PENDING
    renew()
    assert cluster.attached[OLD] is LibraryInstallStatus.UNINSTALL_ON_RESTART
    assert (cluster.restarts, len(wheels), report.lines) == (0, 1, [])


def test_a_running_cluster_that_never_loaded_old_code_goes_on(renew, cluster, wheels):
    cluster.attached[OLD] = LibraryInstallStatus.FAILED
    renew()
    assert (cluster.restarts, len(wheels)) == (0, 1)


def test_a_cluster_that_is_starting_is_waited_for(renew, cluster, wheels):
    cluster.looks = [State.RESTARTING, State.PENDING, State.RUNNING]
    cluster.attached[OLD] = LibraryInstallStatus.INSTALLED
    renew()
    assert (cluster.restarts, cluster.looks) == (1, [State.RUNNING])


@pytest.mark.parametrize("job", [1, 2])
def test_a_run_under_way_keeps_its_cluster_and_its_file(renew, cluster, wheels, client, report, job):
    cluster.attached[OLD] = LibraryInstallStatus.INSTALLED
    client.jobs.add(7, [("RUNNING", None, {})], job)
    renew()
    assert (cluster.restarts, len(wheels)) == (0, 2)
    assert cluster.attached[OLD] is LibraryInstallStatus.UNINSTALL_ON_RESTART
    assert report.lines == [("code", "the run under way keeps the code it started with; later runs use the new code")]
    client.jobs.runs[7].looks = [("TERMINATED", "SUCCESS", {})]
    renew()
    assert (cluster.restarts, len(wheels)) == (1, 1)


def test_a_refusal_while_renewing_the_code_is_one_line(renew, cluster, wheels, report):
    cluster.refusal = PermissionDenied("you may not")
    renew()
    assert report.lines == [
        ("code", "earlier versions were not removed (you may not); run lab up again to remove them"),
    ]


def test_a_stack_without_jobs_is_left_alone(cloud, report):
    after_up.renew_code(cloud, {}, report)
    assert cloud.addresses == []
