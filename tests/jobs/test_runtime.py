"""The runner of queries: failures, stop requests, and progress in a workspace that databricks-sdk talks to."""

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

import pytest
from pyspark.sql import functions as F
from streaming_lab.control import stops
from streaming_lab.layout import Layout
from streaming_lab.runtime import QueryFailed, run_queries

CONTROL = "/Shared/streaming-lab/ann/control"


@pytest.fixture
def workspace(monkeypatch):
    """The files of a workspace, as text by path, behind the REST calls for uploading and downloading them."""
    contents = {}

    class Handler(BaseHTTPRequestHandler):
        def answer(self, status, body):
            content = json.dumps(body).encode() if isinstance(body, dict) else body.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self):
            path = parse_qs(urlparse(self.path).query).get("path", [""])[0]
            if path in contents:
                self.answer(200, contents[path])
            else:
                self.answer(404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": f"Path ({path}) doesn't exist."})

        def do_POST(self):
            form = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if self.path == "/api/2.0/workspace/import":
                parts = [part.partition("\r\n\r\n") for part in form.split("--")]
                fields = {head.partition('name="')[2].partition('"')[0]: body.strip() for head, _, body in parts}
                contents[fields["path"]] = fields["content"]
            self.answer(200, {})

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("DATABRICKS_HOST", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("DATABRICKS_TOKEN", "token")
    yield contents
    server.shutdown()
    thread.join()
    server.server_close()


def stop_request(*names):
    """A request as the command leaves it a minute from now, so that the task began before it."""
    later = datetime.now(UTC) + timedelta(minutes=1)
    return {"requested_at": later.isoformat(), "queries": list(names), "dataset": "*"}


@pytest.fixture
def numbers(spark, root, write_input):
    """What starts a query over files of one number each, a file in each batch."""

    def make(name="numbers", files=3, column=None, **trigger):
        write_input("numbers", [[str(number)] for number in range(files)])
        layout = Layout(root)
        stream = spark.readStream.option("maxFilesPerTrigger", 1).text(layout.input("numbers"))
        writer = stream.select((column if column is not None else F.col("value")).alias("value")).writeStream
        writer = writer.format("parquet").queryName(name).option("checkpointLocation", layout.checkpoint(name))
        return lambda: writer.trigger(**(trigger or {"availableNow": True})).start(layout.table(name))

    return make


def test_a_failed_query_is_named_with_its_reason_and_the_others_are_stopped(spark, root, numbers):
    failing = numbers("failing", column=F.raise_error(F.lit("the sensor is broken")))
    endless = numbers("endless", processingTime="1 second")
    with pytest.raises(QueryFailed, match=r"^Query failing failed: .*the sensor is broken") as failure:
        run_queries(spark, "test", Layout(root), [endless, failing])
    assert "\n" not in str(failure.value)
    assert spark.streams.active == []


def test_a_stop_request_ends_a_bounded_task_and_the_next_run_goes_on(spark, root, numbers, workspace):
    workspace[f"{CONTROL}/stop.json"] = json.dumps(stop_request("numbers"))
    with pytest.raises(SystemExit, match=r"^stopped on request: numbers; run it again to go on$"):
        run_queries(spark, "test", Layout(root), [numbers(files=40)], control=CONTROL)
    report = json.loads(workspace[f"{CONTROL}/progress/exercises-test.json"])
    [query] = report["queries"]
    assert report["active"] is query["active"] is False
    assert 0 < query["input_rows"] == query["batch"] + 1 < 40

    del workspace[f"{CONTROL}/stop.json"]
    run_queries(spark, "test", Layout(root), [numbers(files=40)], control=CONTROL)
    stored = sorted(int(row["value"]) for row in spark.read.parquet(Layout(root).table("numbers")).collect())
    assert stored == list(range(40))


def test_a_stop_request_ends_a_continuous_task_as_a_success(spark, root, numbers, workspace):
    workspace[f"{CONTROL}/stop.json"] = json.dumps(stop_request("*"))
    starter = numbers(processingTime="0 seconds")
    [query] = run_queries(spark, "test", Layout(root), [starter], control=CONTROL, continuous=True)
    assert not query.isActive
    assert query.exception() is None


def test_the_task_ends_when_its_own_work_is_done(spark, root, numbers):
    seen = []

    def three_rows_are_written(_query):
        seen[:] = spark.read.schema("value string").parquet(Layout(root).table("numbers")).collect()
        return len(seen) == 3

    run_queries(
        spark,
        "test",
        Layout(root),
        [numbers(processingTime="0 seconds")],
        until=three_rows_are_written,
        continuous=True,
    )
    assert len(seen) == 3


def test_a_report_has_what_the_command_shows(spark, root, numbers, workspace):
    run_queries(spark, "test", Layout(root), [numbers()], control=CONTROL)
    report = json.loads(workspace[f"{CONTROL}/progress/exercises-test.json"])
    [query] = report.pop("queries")
    assert datetime.fromisoformat(report.pop("updated_at")) <= datetime.now(UTC)
    link = spark.sparkContext.uiWebUrl
    assert report == {"task": "test", "dataset": "exercises", "spark_ui": link, "active": False}
    assert query.pop("id") and query.pop("message") and query.pop("rows_per_second") > 0
    assert query == {"name": "numbers", "active": False, "batch": 2, "input_rows": 3, "watermark": None, "dropped": 0}


def test_a_workspace_that_refuses_does_not_end_the_task(spark, root, numbers, workspace, caplog):
    workspace[f"{CONTROL}/stop.json"] = "not JSON"
    run_queries(spark, "test", Layout(root), [numbers()], control=CONTROL)
    assert spark.read.parquet(Layout(root).table("numbers")).count() == 3
    assert caplog.text.count("do not work") == 1


@pytest.mark.parametrize(
    ("names", "dataset", "minutes", "stopped"),
    [
        (["*"], "*", 1, {"a", "b"}),
        (["a", "c"], "*", 1, {"a"}),
        (["*"], "live", 1, set()),
        (["b"], "exercises", 1, {"b"}),
        (["*"], "*", -1, set()),
    ],
)
def test_a_stop_request_counts_for_its_queries_its_data_set_and_tasks_that_began_before(
    names, dataset, minutes, stopped
):
    started = datetime.now(UTC)
    requested = {
        "requested_at": (started + timedelta(minutes=minutes)).isoformat(),
        "queries": names,
        "dataset": dataset,
    }
    assert stops(requested, "exercises", started, ["a", "b"]) == stopped
