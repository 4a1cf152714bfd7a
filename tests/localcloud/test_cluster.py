"""Tasks on a real driver: one JVM for the whole file, one Python process for each task."""

import base64
import dataclasses
import json
import re
import sys
import threading
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest

import toolchain
from localcloud.cluster import ClusterSpec, Driver, TaskHandle, TaskResult, TaskSpec, archive
from localcloud.settings import Settings

ACCOUNT_KEY = "QWNjb3VudEtleQ=="
PASSWORD = "scram-password-7f3a"
TOKEN = "dapi-token-of-the-cluster"
SECRET = "hunter"
ROOT = "abfss://lab@labdev.dfs.core.windows.net"

MODULE = '''
import sys, threading, time, os
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()

def main():
    print("arguments", sys.argv)
    print("same session", SparkSession.getActiveSession() is not None, SparkSession.builder.getOrCreate() is spark)
    seen = []
    def ask():
        seen.append(SparkSession.getActiveSession()._jsparkSession.equals(spark._jsparkSession))
    thread = threading.Thread(target=ask); thread.start(); thread.join()
    print("same session in a thread", seen)
    print("environment", os.environ["COLOUR"], "DATABRICKS_RUNTIME_VERSION" in os.environ, time.tzname[0])
    print("the developer's", [name for name in os.environ if name.startswith(("ARM_", "AZURE_", "PULUMI_"))])

def table():
    spark.range(10).write.format("delta").mode("overwrite").save(sys.argv[1])
    print("rows", spark.read.format("delta").load(sys.argv[1]).count())

def callbacks():
    """One query with a Python callback; two of these run at once."""
    mine = sys.argv[1]
    source, batches = sys.argv[2], []
    def write(frame, number):
        batches.append((os.getpid(), frame.sparkSession.conf.get("lab.mine"), frame.count()))
    spark.conf.set("lab.mine", mine)
    spark.range(40).selectExpr("id", f"'{mine}' as who").repartition(4).write.mode("overwrite").parquet(source)
    stream = spark.readStream.schema("id long, who string").option("maxFilesPerTrigger", 1).parquet(source)
    query = stream.writeStream.foreachBatch(write).trigger(availableNow=True).start()
    query.awaitTermination()
    assert {pid for pid, *_ in batches} == {os.getpid()}, batches
    assert {who for _, who, _ in batches} == {mine}, batches
    print("batches", len(batches), "rows", sum(rows for *_, rows in batches))

def stream():
    """Two tasks of this meet in the middle: each waits until it sees that the other's query runs."""
    mine, other, folder = sys.argv[1:]
    query = spark.readStream.format("rate").load().writeStream.format("noop").queryName(mine).start()
    open(f"{folder}/{mine}", "w").close()
    while not os.path.exists(f"{folder}/{other}"):
        query.awaitTermination(0.05)
    print("queries", [each.name for each in spark.streams.active])

def forever():
    query = spark.readStream.format("rate").load().writeStream.format("noop").queryName("forever").start()
    open(sys.argv[1], "w").close()
    try:
        query.awaitTermination()
    finally:
        print("clean stop", query.isActive)

def stubborn():
    query = spark.readStream.format("rate").load().writeStream.format("noop").start()
    print("left running")

def quits():
    sys.exit("the lab was not proven")

def tells():
    raise ValueError("가" * 100_000)

def dies():
    os.kill(os.getpid(), 9)

def stranger():
    import lab

def secret():
    from databricks.sdk.runtime import dbutils
    value = dbutils.secrets.get("scope", "key")
    print(f"secret has {len(value)}: {value}")

def kafka():
    options = {"kafka.bootstrap.servers": "127.0.0.1:1", "subscribe": "t",
        "kafka.request.timeout.ms": "2000", "kafka.default.api.timeout.ms": "2000",
        "kafka.sasl.jaas.config": 'org.apache.kafka.common.security.scram.ScramLoginModule required '
            'username="u" password="PASSWORD";'}
    query = spark.readStream.format("kafka").options(**options).load().writeStream.format("noop").start()
    query.awaitTermination(1)
    spark.range(3).createOrReplaceTempView("numbers")
    spark.sql("select count(*) from numbers").collect()
    open(sys.argv[1], "w").close()
    query.awaitTermination()
'''.replace("PASSWORD", PASSWORD)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        tmp_path_factory.mktemp("state"),
        toolchain.java(),
        toolchain.jars("spark"),
        toolchain.jars("kafka"),
        Path(sys.executable),
        driver_options=archive.using(toolchain.class_archive()),
    )


class Workspace(BaseHTTPRequestHandler):
    """The one answer of a workspace that a task's dbutils asks for."""

    def do_GET(self) -> None:
        known = self.path.startswith("/api/2.0/secrets/get") and self.headers["Authorization"] == f"Bearer {TOKEN}"
        value = base64.b64encode(SECRET.encode()).decode()
        body = json.dumps({"key": "key", "value": value} if known else {}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def workspace() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Workspace)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def make_spec(machine: Settings, cluster_id: str, host: str) -> ClusterSpec:
    mount = machine.state / "storage" / "labdev" / "lab"
    mount.mkdir(parents=True, exist_ok=True)
    return ClusterSpec(
        cluster_id=cluster_id,
        cores=2,
        spark_conf={
            "spark.master": "local[*]",
            "spark.hadoop.fs.azure.account.key.labdev.dfs.core.windows.net": ACCOUNT_KEY,
        },
        env={"COLOUR": "blue"},
        mounts={"lab@labdev.dfs.core.windows.net": mount},
        work_dir=machine.state / cluster_id,
        host=host,
        token=TOKEN,
    )


@pytest.fixture(scope="module")
def driver(machine: Settings, workspace: str) -> Iterator[Driver]:
    driver = Driver(machine, make_spec(machine, "0515-120000-lab", workspace))
    with pytest.MonkeyPatch.context() as developer:
        for name in ("ARM_CLIENT_SECRET", "AZURE_TENANT_ID", "PULUMI_CONFIG_PASSPHRASE"):
            developer.setenv(name, "the developer's")
        driver.start()
    yield driver
    driver.stop()


@pytest.fixture(scope="module")
def wheel(machine: Settings) -> Path:
    path = machine.state / "toy-1.0-py3-none-any.whl"
    points = re.findall(r"^def (\w+)\(\)", MODULE, re.M)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("toy/__init__.py", "def by_attribute():\n    print('by attribute')\n")
        archive.writestr("toy/tasks.py", MODULE)
        archive.writestr("toy-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
        archive.writestr(
            "toy-1.0.dist-info/entry_points.txt",
            "[console_scripts]\n" + "".join(f"{name} = toy.tasks:{name}\n" for name in points),
        )
    return path


@pytest.fixture
def task(driver: Driver, wheel: Path, tmp_path: Path) -> Callable[..., TaskHandle]:
    """Start a task of the toy wheel, or a notebook, on the shared driver; its log is `tmp_path/<task id>.log`."""

    def start(
        entry_point: str, *parameters: str, task_id: str = "task", on: Driver = driver, **more: object
    ) -> TaskHandle:
        spec = TaskSpec(task_id, "toy", entry_point, list(parameters), [wheel], tmp_path / f"{task_id}.log")
        return on.run(dataclasses.replace(spec, **more))

    return start


@pytest.fixture
def log(tmp_path: Path) -> Callable[..., str]:
    return lambda task_id="task": (tmp_path / f"{task_id}.log").read_text()


def wait_for(path: Path, handle: TaskHandle) -> None:
    """Until the task has made the file; its end before that is the test's."""
    while not path.exists():
        ended = handle.wait(0.05)
        assert ended is None, ended


SUCCESS = TaskResult("SUCCESS", "", "")


def test_a_task_gets_its_arguments_its_environment_and_one_session(task, log):
    assert task("main", "--root=abfss://x", "--scale=2").wait(60) == SUCCESS
    assert "arguments ['toy', '--root=abfss://x', '--scale=2']" in log()
    assert "same session True True" in log()
    assert "same session in a thread [True]" in log()
    assert "environment blue False UTC" in log()
    assert "the developer's []" in log()


def test_the_package_attribute_serves_where_the_metadata_names_no_entry_point(task, log):
    assert task("by_attribute").wait(60) == SUCCESS
    assert "by attribute" in log()


def test_a_missing_entry_point_wheel_or_library_is_named(task, tmp_path):
    missing = task("nothing").wait(60)
    assert missing.outcome == "FAILED"
    assert "Entry point nothing could not be found in the Python wheel toy" in missing.error
    assert task("main", package_name="other").wait(60).error == (
        "Python wheel with name other could not be found. Please check the driver logs for more details"
    )
    gone = task("main", wheels=[tmp_path / "gone-1.0-py3-none-any.whl"]).wait(60)
    assert gone.error.startswith("Library installation failed for library due to user error.")
    assert "gone-1.0-py3-none-any.whl" in gone.error


def test_abfss_reaches_the_container_that_is_mounted(task, log, machine):
    assert task("table", f"{ROOT}/tables/ten").wait(120) == SUCCESS
    assert "rows 10" in log()
    assert (machine.state / "storage" / "labdev" / "lab" / "tables" / "ten" / "_delta_log").is_dir()


def test_an_account_without_a_mount_is_refused_as_azure_refuses_it(task, log):
    result = task("table", "abfss://lab@foreign.dfs.core.windows.net/tables/ten").wait(60)
    assert result.outcome == "FAILED"
    assert result.error.startswith(
        'Operation failed: "This request is not authorized to perform this operation using this permission.", 403'
    )
    assert "foreign" in result.error
    assert result.error in log()
    assert not Path("/tables").exists()


def test_a_wheel_finds_nothing_of_the_checkout_that_the_cloud_runs_from(task):
    assert task("stranger").wait(60).error == "ModuleNotFoundError: No module named 'lab'"


def test_tasks_run_side_by_side_and_see_their_own_queries_alone(task, log, tmp_path):
    one = task("stream", "one", "two", str(tmp_path), task_id="one")
    two = task("stream", "two", "one", str(tmp_path), task_id="two")
    assert one.wait(60) == two.wait(60) == SUCCESS
    assert "queries ['one']" in log("one")
    assert "queries ['two']" in log("two")


def test_the_callbacks_of_two_tasks_do_not_meet(task, log, tmp_path):
    one = task("callbacks", "one", str(tmp_path / "a"), task_id="one")
    two = task("callbacks", "two", str(tmp_path / "b"), task_id="two")
    assert one.wait(90) == two.wait(90) == SUCCESS
    assert "batches 4 rows 40" in log("one")
    assert "batches 4 rows 40" in log("two")


def test_a_task_s_queries_end_with_it(task, driver):
    assert task("stubborn").wait(60) == SUCCESS
    page = _get(driver, "StreamingQuery/")
    assert "Streaming Query" in page
    assert "Active Streaming Queries" not in page


def test_a_cancelled_task_stops_cleanly(task, log, tmp_path):
    handle = task("forever", str(tmp_path / "ready"))
    wait_for(tmp_path / "ready", handle)
    handle.cancel()
    assert handle.wait(25) == TaskResult("CANCELED", "The task was canceled.", "")
    assert "clean stop True" in log()


def test_a_failure_is_its_last_line_and_its_trace(task, log):
    result = task("quits").wait(60)
    assert (result.outcome, result.error) == ("FAILED", "the lab was not proven")
    result = task("table").wait(60)
    assert result.error == "IndexError: list index out of range"
    assert "in table" in result.trace
    assert "localcloud" not in result.trace
    assert "IndexError" in log()


def test_a_failure_of_any_length_ends_the_task_and_is_told_in_part(task):
    result = task("tells").wait(60)
    assert result is not None, "it hangs"
    assert result.outcome == "FAILED"
    assert result.error == "ValueError: " + "가" * 1000 + "…"
    assert "[…]" in result.trace
    assert len(result.trace) < 21_000


def test_a_task_whose_process_dies_fails_alone(task, driver):
    result = task("dies").wait(60)
    assert (result.outcome, result.error) == ("FAILED", "The task's Python process ended with signal 9.")
    assert driver.alive


def test_dbutils_reads_the_workspace_s_secrets(task, log):
    assert task("secret").wait(60) == SUCCESS
    assert "secret has 6" in log()


NOTEBOOK = """# Databricks notebook source
# MAGIC %md
# MAGIC # Windows
# COMMAND ----------
# MAGIC %pip install something
# COMMAND ----------
dbutils.widgets.text("size", "1 hour")
size = dbutils.widgets.get("size")
print("size", size)
40 + 2
# COMMAND ----------
display(spark.createDataFrame([("walk", 7)], "gt string, n int"))
# COMMAND ----------
# MAGIC %sql select 'from sql' as origin
# COMMAND ----------
display(spark.readStream.format("rate").option("rowsPerSecond", 50).load().selectExpr("'streamed' as what"))
# COMMAND ----------
secret = dbutils.secrets.get("scope", "key")
# COMMAND ----------
spark.table("nowhere")
# COMMAND ----------
print("never")
"""


def test_a_notebook_runs_cell_by_cell_until_one_fails(task, log):
    result = task("", notebook=NOTEBOOK, widgets={"size": "30 minutes"}).wait(90)
    assert result.outcome == "FAILED"
    assert result.error.startswith("AnalysisException: [TABLE_OR_VIEW_NOT_FOUND] The table or view `nowhere`")
    assert 'spark.table("nowhere")' in result.trace
    for shown in ("%pip is ignored", "size 30 minutes", "42", "|walk|  7|", "|from sql|", "|streamed|"):
        assert shown in log()
    assert "never" not in log()


def test_a_notebook_shows_no_secret_that_it_or_a_module_of_it_read_and_a_wheel_shows_all(task, log):
    source = """
import toy.tasks
mine = dbutils.secrets.get("scope", "key")
print("whole", mine, len(mine))
print("in parts ", end=""); print(mine[:3], end="", flush=True); print(mine[3:])
display(spark.createDataFrame([(mine,)], "column string"))
mine
# COMMAND ----------
raise ValueError(mine)
"""
    result = task("", notebook=source).wait(60)
    assert result.error == "ValueError: [REDACTED]"
    assert "[REDACTED]" in result.trace
    assert {"whole [REDACTED] 6", "in parts [REDACTED]", "|[REDACTED]|", "'[REDACTED]'"} <= set(log().splitlines())
    assert SECRET not in result.trace + log()
    assert task("", task_id="module", notebook="import toy.tasks\ntoy.tasks.secret()").wait(60) == SUCCESS
    assert "secret has 6: [REDACTED]" in log("module")
    assert task("secret", task_id="wheel").wait(60) == SUCCESS
    assert f"secret has 6: {SECRET}" in log("wheel")


FILES = f"""# Databricks notebook source
import time

def refusal(act, *arguments):
    try:
        act(*arguments)
    except Exception as error:
        return f"{{type(error).__name__}}: {{error}}"

folder, file = "{ROOT}/files", "{ROOT}/files/é.json"
# COMMAND ----------
assert dbutils.fs.mkdirs(folder + "/inner") and dbutils.fs.put(file, "né") and dbutils.fs.head(file) == "né"
assert dbutils.fs.head(file, 1) == "n"
assert "FileAlreadyExistsException" in refusal(dbutils.fs.put, file, "new") and dbutils.fs.put(file, "new", True)
# COMMAND ----------
inner, found = sorted(dbutils.fs.ls(folder), key=lambda entry: entry.size)
assert found[:3] == (file, "é.json", 3) and found.isFile() and 0 <= time.time() - found.modificationTime / 1000 < 60
assert inner[:3] == (folder + "/inner/", "inner/", 0) and inner.isDir()
assert dbutils.fs.ls(file) == [found]
# COMMAND ----------
assert "ExecutionError: " in refusal(dbutils.fs.rm, folder) and dbutils.fs.head(file) == "new"
assert dbutils.fs.rm(folder, True) is True and dbutils.fs.rm(folder, True) is False
for act in dbutils.fs.ls, dbutils.fs.head:
    assert "\\n: java.io.FileNotFoundException: " in refusal(act, folder), act
# COMMAND ----------
for path in "/tmp", "dbfs:/tmp", "/Volumes/main/default/lab":
    assert "give a whole address" in refusal(dbutils.fs.ls, path), path
assert "dbutils.fs.mount is not known" in refusal(lambda: dbutils.fs.mount)
assert "dbutils.notebook is not known" in refusal(lambda: dbutils.notebook)
dbutils.fs.ls("abfss://lab@other.dfs.core.windows.net/")
"""


def test_dbutils_fs_speaks_of_files_as_a_cluster_s_does(task, log):
    result = task("", notebook=FILES).wait(60)
    assert "this cluster has no access to storage account other" in result.error, result
    assert "Wrote 3 bytes." in log() and "[Truncated to first 1 bytes]" in log()


NAMES = """# Databricks notebook source
cells = {name: globals()[name] for name in ("spark", "sc", "sql", "table", "udf", "display", "dbutils")}
# COMMAND ----------
from databricks.sdk.runtime import *
assert all(globals()[name] is value for name, value in cells.items())
from databricks.sdk import WorkspaceClient
assert WorkspaceClient().dbutils is dbutils
"""


def test_modules_import_the_names_that_a_notebook_s_cells_have(task):
    assert task("", notebook=NAMES).wait(60) == SUCCESS


def test_no_secret_shows_in_command_lines_or_in_the_spark_ui(task, driver, machine, tmp_path):
    handle = task("kafka", str(tmp_path / "ready"))
    wait_for(tmp_path / "ready", handle)
    family = psutil.Process(driver._process.pid)
    lines = " ".join(" ".join(process.cmdline()) for process in [family, *family.children(recursive=True)])
    pages = ["environment/", "SQL/", "StreamingQuery/", "jobs/", "api/v1/applications"]
    texts = {page: _get(driver, page) for page in pages}
    application = json.loads(texts["api/v1/applications"])[0]["id"]
    texts["rest environment"] = _get(driver, f"api/v1/applications/{application}/environment")
    texts["rest sql"] = _get(driver, f"api/v1/applications/{application}/sql?details=true&planDescription=true")
    handle.cancel()
    handle.wait(25)
    texts["driver log"] = driver.log.read_text()
    texts["task log"] = (tmp_path / "task.log").read_text()
    for secret in (ACCOUNT_KEY, PASSWORD, TOKEN, driver.ui.key):
        assert secret not in lines
        assert [name for name, text in texts.items() if secret in text] == []
    assert "redacted" in texts["environment/"]
    assert (machine.state / "0515-120000-lab" / "conf" / "spark-defaults.conf").stat().st_mode & 0o077 == 0


def _get(driver: Driver, page: str) -> str:
    request = urllib.request.Request(f"{driver.ui.url}/{page}", headers={"Authorization": driver.ui.authorization})
    with urllib.request.urlopen(request) as answer:
        return answer.read().decode()


def test_the_driver_listens_on_loopback_alone(driver):
    family = psutil.Process(driver._process.pid)
    listening = {
        connection.laddr.ip
        for process in [family, *family.children(recursive=True)]
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


def test_a_killed_jvm_fails_its_tasks_and_leaves_no_process(machine, driver, task, tmp_path):
    """The last test of this file: it ends the driver that the others share."""
    handle = task("forever", str(tmp_path / "ready"))
    wait_for(tmp_path / "ready", handle)
    family = psutil.Process(driver._process.pid).children(recursive=True)
    (jvm,) = [process for process in family if process.is_running() and process.name() == "java"]
    jvm.kill()
    result = handle.wait(20)
    assert result.outcome == "FAILED"
    assert result.error.startswith("The driver was lost")
    psutil.wait_procs(family, timeout=10)
    assert [process for process in family if process.is_running()] == []
    assert not driver.alive
    assert task("main").wait(5).error.startswith("The driver was lost")
    assert driver.log.exists()
