"""A job on a real cluster of the whole local cloud, started through the published SDK."""

import io
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service import compute, jobs
from databricks.sdk.service.workspace import ImportFormat

import toolchain
from localcloud import peers
from localcloud.cluster import archive
from localcloud.cluster.spark_ui import SparkUi
from localcloud.server import LocalCloud
from localcloud.settings import Settings

_CODE = """
import io
import sys

from databricks.sdk import WorkspaceClient
from databricks.sdk.runtime import dbutils
from databricks.sdk.service.workspace import ImportFormat
from pyspark.sql import SparkSession


def write():
    spark = SparkSession.builder.getOrCreate()
    spark.range(3).write.mode("overwrite").parquet(sys.argv[1])
    rows = spark.read.parquet(sys.argv[1]).count()
    secret = dbutils.secrets.get("lab", "key")
    content = io.BytesIO(str(rows).encode())
    WorkspaceClient().workspace.upload("/Shared/rows", content, format=ImportFormat.RAW, overwrite=True)
    print("rows", rows, "secret", len(secret))


def fail():
    raise SystemExit("2 rows are missing")
"""


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cloud") / "state"


@pytest.fixture(scope="module")
def cloud(state: Path) -> Iterator[LocalCloud]:
    tools = toolchain.java(), toolchain.jars("spark"), toolchain.jars("kafka")
    options = archive.using(toolchain.class_archive())
    with LocalCloud(Settings(state, *tools, Path(sys.executable), driver_options=options)) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def client(cloud: LocalCloud, state: Path) -> WorkspaceClient:
    """A workspace with storage, secrets and a wheel."""
    group = f"/subscriptions/{cloud.arm.client_config()['subscriptionId']}/resourceGroups/rg"
    place = {"location": "westeurope"}
    cloud.arm.put(group, place)
    managed = {"computeMode": "Hybrid", "managedResourceGroupId": group + "-managed"}
    cloud.arm.put(f"{group}/providers/Microsoft.Databricks/workspaces/dbw", {**place, "properties": managed})
    account = f"{group}/providers/Microsoft.Storage/storageAccounts/stlab"
    kind = {"kind": "StorageV2", "sku": {"name": "Standard_LRS"}, "properties": {"isHnsEnabled": True}}
    cloud.arm.put(account, {**place, **kind})
    cloud.arm.put(f"{account}/blobServices/default/containers/lab", {"properties": {}})
    (address,) = json.loads((state / "endpoint.json").read_text())["workspaces"].values()
    client = WorkspaceClient(host=address, token=cloud.token, auth_type="pat")
    client.secrets.create_scope("lab")
    client.secrets.put_secret("lab", "storage-key", string_value=cloud.arm.list_keys(account)["keys"][0]["value"])
    client.secrets.put_secret("lab", "key", string_value="secret!")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("things/__init__.py", _CODE)
        archive.writestr("things-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: things\nVersion: 1.0\n")
        points = "[console_scripts]\nwrite = things:write\nfail = things:fail\n"
        archive.writestr("things-1.0.dist-info/entry_points.txt", points)
    client.workspace.upload(
        "/Shared/things-1.0-py3-none-any.whl", io.BytesIO(packed.getvalue()), format=ImportFormat.RAW
    )
    return client


def _task(cluster: str, entry_point: str, *parameters: str) -> jobs.Task:
    return jobs.Task(
        task_key=entry_point,
        existing_cluster_id=cluster,
        libraries=[compute.Library(whl="/Workspace/Shared/things-1.0-py3-none-any.whl")],
        python_wheel_task=jobs.PythonWheelTask("things", entry_point, parameters=list(parameters)),
    )


def _ended(cloud: LocalCloud, client: WorkspaceClient, job_id: int) -> jobs.Run:
    """The run when it has ended; the SDK's own wait would sleep for seconds between its questions."""
    run_id = client.jobs.run_now(job_id).run_id
    workspace = cloud.workspaces.get(cloud.workspaces.urls()[0])
    assert workspace
    workspace.runs.wait(run_id, 120)
    return client.jobs.get_run(run_id)


@pytest.fixture(scope="module")
def cluster(client: WorkspaceClient) -> Iterator[str]:
    """The id of a cluster."""
    created = client.clusters.create(
        spark_version="18.x-scala2.13",
        node_type_id="Standard_D4ds_v5",
        kind=compute.Kind.CLASSIC_PREVIEW,
        is_single_node=True,
        data_security_mode=compute.DataSecurityMode.SINGLE_USER,
        spark_conf={"fs.azure.account.key.stlab.dfs.core.windows.net": "{{secrets/lab/storage-key}}"},
    )
    yield str(created.cluster_id)
    client.clusters.permanent_delete(str(created.cluster_id))


def test_a_job_reads_secrets_writes_through_abfss_and_tells_its_failures(
    cloud: LocalCloud, client: WorkspaceClient, cluster: str
) -> None:
    path = "abfss://lab@stlab.dfs.core.windows.net/rows"
    job = client.jobs.create(name="things", tasks=[_task(cluster, "write", path), _task(cluster, "fail")])
    run = _ended(cloud, client, job.job_id)
    tasks: dict[str, Any] = {task.task_key: task for task in run.tasks or []}
    assert tasks["write"].state.result_state is jobs.RunResultState.SUCCESS, tasks["write"].state.state_message
    assert client.workspace.download("/Shared/rows").read() == b"3"
    assert client.jobs.get_run_output(tasks["write"].run_id).logs.rstrip().endswith("rows 3 secret 7")
    assert tasks["fail"].state.state_message == "2 rows are missing"
    assert run.state and run.state.state_message == "Task fail failed with message: 2 rows are missing."
    elsewhere = _task(cluster, "write", "abfss://lab@other.dfs.core.windows.net/rows")
    message = _ended(cloud, client, client.jobs.create(name="elsewhere", tasks=[elsewhere]).job_id).state
    assert message and "403" in (message.state_message or "") and "other" in (message.state_message or "")


@pytest.fixture
def ui(cloud: LocalCloud, client: WorkspaceClient, cluster: str) -> SparkUi:
    """The Spark UI of the running cluster, as its driver offers it."""
    client.clusters.ensure_cluster_is_running(cluster)
    workspace = cloud.workspaces.get(cloud.workspaces.urls()[0])
    assert workspace
    found = workspace.drivers.ui(cluster)
    assert found
    return found


@pytest.mark.parametrize(
    "page", ["", "jobs/", "environment/", "static/webui.js", "api/v1/applications", "metrics/json/"]
)
def test_the_spark_ui_answers_its_proxy_alone(client: WorkspaceClient, cluster: str, ui: SparkUi, page: str) -> None:
    forged = SparkUi(ui.url, "0" * 43).authorization
    for headers in ({}, {"Authorization": forged}):
        assert httpx.get(f"{ui.url}/{page}", headers=headers).status_code == 403
    answer = httpx.get(f"{client.config.host}/sparkui/{cluster}/{page}", follow_redirects=True)
    assert answer.status_code == 200
    assert str(answer.url).startswith(f"{client.config.host}/sparkui/{cluster}/")
    assert ui.key not in answer.text


def test_the_pages_of_the_spark_ui_link_to_the_proxy(client: WorkspaceClient, cluster: str, ui: SparkUi) -> None:
    page = httpx.get(f"{client.config.host}/sparkui/{cluster}/jobs/").text
    assert f'href="/sparkui/{cluster}/environment/"' in page
    assert f'src="/sparkui/{cluster}/static/webui.js"' in page
    # Nobody kills a job there.
    assert "/jobs/job/kill" not in page
    assert "spark.ui.killEnabled" in httpx.get(f"{client.config.host}/sparkui/{cluster}/environment/").text


def test_the_spark_ui_is_closed_to_other_users_and_names(
    client: WorkspaceClient, cluster: str, ui: SparkUi, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{client.config.host}/sparkui/{cluster}/jobs/"
    assert httpx.get(address, headers={"Host": "evil.example.com"}).status_code == 403
    monkeypatch.setattr(peers, "is_own", lambda peer, port: False)
    assert httpx.get(address).status_code == 403
    assert httpx.get(address, headers={"Authorization": f"Bearer {client.config.token}"}).status_code == 200


def test_spark_asks_its_own_ports_for_a_secret(client: WorkspaceClient, cluster: str, ui: SparkUi) -> None:
    application = httpx.get(f"{client.config.host}/sparkui/{cluster}/api/v1/applications").json()[0]["id"]
    environment = f"{client.config.host}/sparkui/{cluster}/api/v1/applications/{application}/environment"
    properties = dict(httpx.get(environment).json()["sparkProperties"])
    assert properties["spark.authenticate"] == "true"
    assert properties["spark.ui.killEnabled"] == "false"


def test_the_spark_ui_of_a_stopped_cluster_says_so(client: WorkspaceClient) -> None:
    answer = httpx.get(f"{client.config.host}/sparkui/none/jobs/")
    assert answer.status_code == 404
    assert "not running" in answer.text
