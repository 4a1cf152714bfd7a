"""A workspace in Azure as the local cloud has it, a clock and drivers that the test moves, and the real SDK."""

import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient

from localcloud.arm import Arm
from localcloud.cluster import ClusterSpec, DriverError, TaskResult, TaskSpec
from localcloud.cluster.spark_ui import SparkUi
from localcloud.settings import Settings
from localcloud.store import Store
from localcloud.web import WebServer
from localcloud.workspace import Workspace, Workspaces

TOKEN = "the-token"
PATIENCE = 20.0


class Clock:
    """Time stands still until the test moves it: Friday 15 May 2026, 10:00 UTC."""

    def __init__(self) -> None:
        self.now = 1778839200.0

    def __call__(self) -> float:
        return self.now

    def advance(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0) -> None:
        self.now += seconds + 60 * minutes + 3600 * hours


class Handle:
    """A task in a driver of the test; it ends when the test, a cancel request or the driver's end says so."""

    def __init__(self, spec: TaskSpec) -> None:
        self.spec = spec
        self.asked_to_stop = False
        # Read now, as a task does: the next driver starts with an empty folder.
        self.wheels = [wheel.read_bytes() for wheel in spec.wheels]
        self._ended = threading.Event()
        self._result: TaskResult | None = None

    def finish(self, outcome: Any = "SUCCESS", error: str = "", trace: str = "") -> None:
        if self._result is None:
            self._result = TaskResult(outcome, error, trace)
            self._ended.set()

    def wait(self, timeout: float | None = None) -> TaskResult | None:
        self._ended.wait(timeout)
        return self._result

    def cancel(self) -> None:
        self.asked_to_stop = True
        self.finish("CANCELED", "canceled")


class FakeDriver:
    def __init__(self, room: "Drivers", spec: ClusterSpec) -> None:
        self._room = room
        self.spec = spec
        self.alive = False
        self.ui: SparkUi | None = None
        self.handles: list[Handle] = []

    def start(self) -> None:
        if self._room.refuse_to_start:
            raise DriverError(self._room.refuse_to_start)
        self.alive = True
        self.ui = SparkUi("http://127.0.0.1:4040", self.spec.ui_key)

    def run(self, task: TaskSpec) -> Handle:
        handle = Handle(task)
        self.handles.append(handle)
        with self._room.changed:
            self._room.tasks.append(handle)
            self._room.changed.notify_all()
        behave = self._room.behaviour.get(task.entry_point or "notebook")
        if behave != "wait":
            handle.finish(*(behave or ("SUCCESS",)))
        return handle

    def stop(self) -> None:
        self.die()

    def die(self) -> None:
        self.alive = False
        for handle in self.handles:
            handle.finish("FAILED", "The driver was lost: the cluster is not running.")


class Drivers:
    """Every driver and task of a test. behaviour: by entry point, ("FAILED", error, trace) or "wait"; else success."""

    def __init__(self) -> None:
        self.made: list[FakeDriver] = []
        self.tasks: list[Handle] = []
        self.behaviour: dict[str, Any] = {}
        self.refuse_to_start = ""
        self.changed = threading.Condition()

    def __call__(self, settings: Settings, spec: ClusterSpec) -> FakeDriver:
        driver = FakeDriver(self, spec)
        self.made.append(driver)
        return driver

    def task(self, entry_point: str, number: int = 1) -> Handle:
        """The n-th task with this entry point, once it has begun."""

        def found() -> list[Handle]:
            return [handle for handle in self.tasks if handle.spec.entry_point == entry_point]

        with self.changed:
            assert self.changed.wait_for(lambda: len(found()) >= number, PATIENCE), f"{entry_point} never began"
            return found()[number - 1]

    def began(self) -> list[str]:
        return [handle.spec.entry_point for handle in self.tasks]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def drivers() -> Drivers:
    return Drivers()


@pytest.fixture
def notices() -> list[str]:
    """What is wrong with the cloud itself."""
    return []


@pytest.fixture
def workspace_id(arm: Arm, group: str) -> str:
    """The resource id of a workspace in Azure."""
    return arm.put(
        f"{group}/providers/Microsoft.Databricks/workspaces/dbw",
        {
            "location": "westeurope",
            "sku": {"name": "premium"},
            "properties": {"computeMode": "Hybrid", "managedResourceGroupId": group + "-managed"},
        },
    )["id"]


@pytest.fixture
def storage(arm: Arm, group: str) -> str:
    """The key of storage account `stlab` with the containers `lab` and `other`."""
    account = f"{group}/providers/Microsoft.Storage/storageAccounts/stlab"
    body = {"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    arm.put(account, {**body, "properties": {"isHnsEnabled": True}})
    for name in ("lab", "other"):
        arm.put(f"{account}/blobServices/default/containers/{name}", {"properties": {"publicAccess": "None"}})
    return str(arm.list_keys(account)["keys"][0]["value"])


@pytest.fixture
def connector(arm: Arm, group: str) -> str:
    """The resource id of an access connector without any role."""
    body = {"location": "westeurope", "identity": {"type": "SystemAssigned"}, "properties": {}}
    return str(arm.put(f"{group}/providers/Microsoft.Databricks/accessConnectors/dbac", body)["id"])


@pytest.fixture
def open_workspaces(
    store: Store, settings: Settings, arm: Arm, workspace_id: str, drivers: Drivers, clock: Clock, notices: list[str]
) -> Iterator[Callable[[], Workspaces]]:
    """All workspaces of the cloud, as a start of its process makes them; call it again for a restart."""
    opened: list[Workspaces] = []

    def open_() -> Workspaces:
        opened.append(
            Workspaces(
                store, settings, arm, TOKEN, notices=lambda: notices, make_driver=drivers, clock=clock, spawn=_at_once
            )
        )
        return opened[-1]

    yield open_
    for workspaces in opened:
        workspaces.close()


def _at_once(work: Callable[[], None]) -> None:
    work()


@pytest.fixture
def workspaces(open_workspaces: Callable[[], Workspaces]) -> Workspaces:
    return open_workspaces()


@pytest.fixture
def workspace(workspaces: Workspaces) -> Workspace:
    found = workspaces.get(workspaces.urls()[0])
    assert found
    return found


@pytest.fixture
def address(workspaces: Workspaces, workspace: Workspace) -> Iterator[str]:
    """Where the workspace's REST API listens."""
    server = WebServer(workspaces.app(workspace.url))
    workspaces.set_address(workspace.url, server.url)
    yield server.url
    server.stop()


@pytest.fixture
def client(address: str, monkeypatch: pytest.MonkeyPatch) -> WorkspaceClient:
    """The published SDK, signed in as the developer."""
    for name in ("DATABRICKS_HOST", "DATABRICKS_TOKEN", "DATABRICKS_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    return WorkspaceClient(host=address, token=TOKEN, auth_type="pat")


@pytest.fixture
def student_client(client: WorkspaceClient) -> Callable[[str], WorkspaceClient]:
    """The SDK with another token."""
    return lambda token: WorkspaceClient(host=client.config.host, token=token, auth_type="pat")


@pytest.fixture
def single_node() -> dict[str, Any]:
    """The smallest cluster of the REST API."""
    return {
        "cluster_name": "lab",
        "spark_version": "18.x-scala2.13",
        "node_type_id": "Standard_D4ds_v5",
        "kind": "CLASSIC_PREVIEW",
        "is_single_node": True,
        "autotermination_minutes": 30,
        "data_security_mode": "SINGLE_USER",
    }


@pytest.fixture
def cluster(workspace: Workspace, single_node: dict[str, Any]) -> str:
    """A stopped cluster."""
    return str(workspace.clusters.create(single_node, workspace.developer, start=False)["cluster_id"])


@pytest.fixture
def wheel(workspace: Workspace) -> str:
    """The workspace path of a wheel of package `streaming_lab`."""
    path = "/Shared/streaming_lab-1.0-py3-none-any.whl"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("streaming_lab/__init__.py", "")
    workspace.files.write(path, packed.getvalue(), "RAW")
    return f"/Workspace{path}"


@pytest.fixture
def task(cluster: str, wheel: str) -> Callable[..., dict[str, Any]]:
    """Makes a wheel task: key (also its entry point), the keys it depends on, and further fields."""

    def make(key: str, *depends_on: str, **more: Any) -> dict[str, Any]:
        made = {
            "task_key": key,
            "existing_cluster_id": cluster,
            "libraries": [{"whl": wheel}],
            "python_wheel_task": {"package_name": "streaming_lab", "entry_point": key},
            **more,
        }
        return {**made, "depends_on": [{"task_key": other} for other in depends_on]} if depends_on else made

    return make


@pytest.fixture
def job(workspace: Workspace) -> Callable[..., int]:
    """Makes a job out of tasks and further settings; returns its id."""

    def make(*tasks: dict[str, Any], **settings: Any) -> int:
        made = workspace.jobs.create({"name": "lab", "tasks": list(tasks), **settings}, workspace.developer)
        return int(made["job_id"])

    return make


@pytest.fixture
def finished(workspace: Workspace) -> Callable[[int], dict[str, Any]]:
    """The run with this id, once it has ended."""

    def wait(run_id: int) -> dict[str, Any]:
        run = workspace.runs.wait(run_id, PATIENCE)
        assert "result_state" in run["state"], f"run {run_id} never ended: {run['state']}"
        return run

    return wait


@pytest.fixture
def run(workspace: Workspace, finished: Callable[[int], dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Starts a job with options of run-now; returns the run when it has ended."""
    return lambda job_id, **options: finished(workspace.runs.run_now(job_id, workspace.developer, options)["run_id"])
