"""The ledger over a whole small lab: it balances, and whatever is changed behind its back is found and named."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import pytest
from streaming_lab import concepts, event_hubs, generate, hub_runs, publish, show, verify, windows
from streaming_lab.connection import read_options
from streaming_lab.hub_runs import Listener
from streaming_lab.layout import Layout
from streaming_lab.runtime import run_queries

pytest_plugins = ["tests.jobs.broker"]


RATE = 250  # events a second: far fewer than could be sent


class Lab:
    def __init__(self, spark, storage, hub):
        self.spark, self.hub = spark, hub
        self.folder = storage / "verified"
        self.folder.mkdir()
        self.root = "abfss://lab@jobs.dfs.core.windows.net/verified"
        self.layout = Layout(self.root)

    def run(self):
        """Enough batches for windows to close, and for events of both exercises to come too late."""
        spark, layout = self.spark, self.layout
        self.manifest, _ = generate.generate(spark, layout, "course/student", 0.1)
        run_queries(spark, "concepts", layout, concepts.queries(spark, layout, continuous=False))
        windows.use_settings(layout, windows.Settings())
        run_queries(spark, "windows", layout, windows.queries(spark, layout, windows.Settings(), continuous=False))
        listener = Listener(self.hub.listen, "lab")
        publish.publish(spark, layout, self.hub.send, listener, RATE)
        run = hub_runs.saved_run(layout)
        parsed = event_hubs.parsed(hub_runs.own(event_hubs.read_hub(spark, listener, run, 500), run))
        run_queries(spark, "event_hubs", layout, list(event_hubs.starters(parsed, parsed, layout).values()))

    def tables(self, name):
        return f"delta.`{self.layout.table(name)}`"

    @contextmanager
    def changed(self, table, statement):
        """A table after a statement; when the block ends it is as it was."""
        name = self.tables(table)
        version = self.spark.sql(f"DESCRIBE HISTORY {name}").agg({"version": "max"}).collect()[0][0]
        self.spark.sql(statement.format(table=name))
        try:
            yield
        finally:
            self.spark.sql(f"RESTORE TABLE {name} TO VERSION AS OF {version}")


@pytest.fixture(scope="module")
def lab(spark, storage, broker):
    lab = Lab(spark, storage, broker.hub("verified"))
    lab.run()
    return lab


@pytest.fixture
def run_verify(monkeypatch, capsys):
    def run(lab, exercises="concepts,windows,event_hubs"):
        monkeypatch.setattr(verify, "from_secret", lambda scope, key: lab.hub.listen)
        arguments = [f"--root={lab.root}", f"--exercises={exercises}", "--scope=lab", "--consumer-group=lab"]
        monkeypatch.setattr(sys, "argv", ["streaming_lab", *arguments])
        failure = ""
        try:
            verify.main()
        except SystemExit as error:
            failure = str(error)
        result = capsys.readouterr().out.splitlines()[-1].removeprefix("streaming-lab-result: ")
        return json.loads(result), failure

    return run


def test_every_exercise_balances_to_zero_with_rows_in_every_term(lab, run_verify):
    verdict, failure = run_verify(lab)
    ledgers = {exercise["name"]: exercise for exercise in verdict["exercises"]}
    assert (verdict["ok"], failure) == (True, "")
    assert {name: ledger["sent"] for name, ledger in ledgers.items()} == {
        "concepts": 6000,
        "windows": 6000,
        "event_hubs": 2000,
    }
    for ledger in ledgers.values():
        terms = ("stored", "quarantined", "duplicates", "late", "open")
        assert set(ledger) == {"name", "sent", *terms, "remainder"}
        assert ledger["sent"] - sum(ledger[term] for term in terms) == ledger["remainder"] == 0
    sources = lab.manifest.sources
    assert ledgers["concepts"]["quarantined"] == sources["activity"].malformed
    assert ledgers["windows"]["quarantined"] == sources["events"].malformed
    assert ledgers["windows"]["late"] > 0
    assert ledgers["windows"]["open"] > 0
    assert ledgers["event_hubs"]["quarantined"] == sources["hub_events"].malformed
    assert ledgers["event_hubs"]["duplicates"] > 0
    assert ledgers["event_hubs"]["late"] > 0
    stored = json.loads((lab.folder / "exercises/ledger/ledger.json").read_text())
    assert stored["exercises"] == verdict["exercises"]


def test_publish_keeps_to_its_rate(lab, spark):
    hub = spark.read.format("kafka").options(**read_options(lab.hub.listen, "lab")).load()
    sent = hub.selectExpr(
        "count(*) AS events", "max(unix_millis(timestamp)) - min(unix_millis(timestamp)) AS ms"
    ).first()
    # The first file goes out at once, and the second may follow at once, on the trigger's own beat.
    assert sent.ms / 1000 >= sent.events * 4 / 6 / RATE


FRESH_DRIVER = """
import json, sys
from pathlib import Path
from streaming_lab import manifest, measure
from streaming_lab.layout import Layout
from tests.jobs.cluster import running_spark

storage, work_dir, root = json.loads(sys.stdin.read())
with running_spark(Path(storage), Path(work_dir)) as spark:
    layout = Layout(root)
    ledger = measure.windows_ledger(spark, layout, manifest.read_manifest(layout))
    print(json.dumps([ledger.remainder, ledger.problems]))
"""


def test_the_first_work_of_a_driver_can_be_verify(lab, storage, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FRESH_DRIVER],
        input=json.dumps([str(storage), str(tmp_path), lab.root]),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [0, []]


CHANGES = [
    {
        "concepts": ("activity", "DELETE FROM {table} WHERE User_ID = 17", "the remainder is 1: 1 of 6,000 rows"),
        "windows": (
            "windows_tumbling",
            "UPDATE {table} SET count = count + 1 WHERE action = 'Open' AND start = '2026-01-05 01:00:00'",
            "Open in the window of 2026-01-05 01:00 UTC",
        ),
        "event_hubs": ("hub_events", "DELETE FROM {table} WHERE Index = 17", "the remainder is 1: 1 of 2,000 rows"),
    },
    {
        "concepts": (
            "activity",
            "UPDATE {table} SET gt = 'fly' WHERE User_ID = 17",
            "rows missing: 1, rows that should not be there: 1",
        ),
        "windows": (
            "windows_sliding",
            "UPDATE {table} SET count = count - 1 WHERE action = 'Close' AND start = '2026-01-05 01:15:00'",
            "Close in the window of 2026-01-05 01:15 UTC",
        ),
        "event_hubs": ("hub_events_quarantine", "DELETE FROM {table} WHERE true", "in none of the ledger's terms"),
    },
    {
        "concepts": ("activity_quarantine", "UPDATE {table} SET raw = 'x'", "table activity_quarantine differs"),
        "windows": ("windows_quarantine", "UPDATE {table} SET reason = 'x'", "table windows_quarantine differs"),
        "event_hubs": ("hub_events_quarantine", "UPDATE {table} SET body = 'x'", "table hub_events_quarantine differs"),
    },
    {
        "concepts": ("activity_quarantine", "UPDATE {table} SET reason = 'x'", "table activity_quarantine differs"),
        "windows": ("windows_quarantine", "UPDATE {table} SET raw = 'x'", "table windows_quarantine differs"),
        "event_hubs": (
            "hub_events_quarantine",
            "UPDATE {table} SET reason = 'x'",
            "table hub_events_quarantine differs",
        ),
    },
    {
        "concepts": ("activity_quarantine", "DELETE FROM {table} WHERE true", "in none of the ledger's terms"),
        "windows": ("windows_quarantine", "DELETE FROM {table} WHERE true", "in none of the ledger's terms"),
    },
]


@pytest.mark.parametrize("changes", CHANGES)
def test_changed_tables_are_named_with_their_difference(lab, run_verify, changes):
    with ExitStack() as stack:
        for table, statement, _ in changes.values():
            stack.enter_context(lab.changed(table, statement))
        verdict, failure = run_verify(lab, ",".join(changes))
    assert verdict["ok"] is False
    assert failure.startswith("The ledger does not balance: concepts: ")
    for exercise in verdict["exercises"]:
        said = changes[exercise["name"]][2]
        assert any(said in problem for problem in exercise["problems"]), exercise["problems"]


@contextmanager
def without(lab, path, which=0):
    """One file less, its number or its name given; when the block ends it is back."""
    files = {file.name: file for file in sorted((lab.folder / "exercises" / path).glob("[0-9p]*"))}
    file = files[which] if isinstance(which, str) else list(files.values())[which]
    aside = file.rename(lab.folder / file.name)
    try:
        yield file.name
    finally:
        aside.rename(file)


def test_missing_input_files_are_named(lab, run_verify):
    with without(lab, "input/events", 3) as event_file, without(lab, "input/hub_events", 2) as hub_file:
        verdict, _ = run_verify(lab, "windows,event_hubs")
    events, hub_events = (exercise["problems"][0] for exercise in verdict["exercises"])
    assert f"has 19 of 20 files and 5,700 of 6,000 records; gone: {event_file}" in events
    assert f"has 19 of 20 files and 1,900 of 2,000 records; gone: {hub_file}" in hub_events


def test_a_hole_in_a_checkpoint_is_named(lab, run_verify):
    with without(lab, "checkpoints/stream_1p/commits", "2"):
        verdict, _ = run_verify(lab, "concepts")
    assert "checkpoint" in verdict["exercises"][0]["problems"][0]
    assert "lacks batch 2" in verdict["exercises"][0]["problems"][0]


@pytest.mark.parametrize(
    "cut",
    [
        pytest.param(lambda whole: whole.splitlines()[0], id="lines"),
        pytest.param(lambda whole: whole[:-30], id="json"),
    ],
)
def test_a_cut_off_file_of_a_checkpoint_is_named(lab, run_verify, cut):
    offsets = lab.folder / "exercises/checkpoints/stream_1p/offsets/2"
    whole = offsets.read_text()
    offsets.write_text(cut(whole))
    try:
        verdict, _ = run_verify(lab, "concepts")
    finally:
        offsets.write_text(whole)
    problem = verdict["exercises"][0]["problems"][0]
    assert "stream_1p/offsets/2 is damaged: restore it, or run the exercises with another scale" in problem


def test_a_missing_data_file_of_a_table_is_a_sentence(lab, run_verify):
    data_files = lab.spark.read.format("delta").load(lab.layout.table("hub_events")).inputFiles()
    with without(lab, "tables/hub_events", data_files[0].rsplit("/", 1)[-1]):
        verdict, failure = run_verify(lab, "event_hubs")
    assert any("table hub_events cannot be read" in problem for problem in verdict["exercises"][0]["problems"])
    assert "\n" not in failure


def test_exercises_that_have_not_been_run_are_said_so(lab, run_verify, spark):
    class NotRun(Lab):
        def __init__(self):
            self.root = f"{lab.root}/not-run"
            self.hub = lab.hub

    other = NotRun()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(generate, "FILES", 1)
        generate.generate(spark, Layout(other.root), "s", 0.001)
    verdict, _ = run_verify(other)
    assert verdict["ok"] is False
    for exercise in verdict["exercises"]:
        assert any("has not been run" in problem for problem in exercise["problems"])
        assert exercise["stored"] == 0


def test_a_hub_whose_retention_is_over_leaves_a_ledger_that_still_balances(lab, run_verify, broker):
    before, _ = run_verify(lab, "event_hubs")
    broker.forget(lab.hub.name)
    after, failure = run_verify(lab, "event_hubs")
    assert (after["ok"], failure) == (True, "")
    assert "the hub has lost the events" in after["exercises"][0].pop("notes")[0]
    assert after == before
    with lab.changed("hub_events", "DELETE FROM {table} WHERE Index = 17"):
        _, failure = run_verify(lab, "event_hubs")
    assert "event_hubs: the remainder is 1" in failure
    # A ledger with a problem vouches for nothing.
    _, failure = run_verify(lab, "event_hubs")
    assert "the hub has 0 of 2,000 events" in failure


@pytest.mark.parametrize(
    ("table", "columns", "first"),
    [
        ("activity", {"Recorded_At", "User_ID"}, None),
        ("windows_tumbling", {"start", "end", "action", "count"}, "2026-01-0"),
        ("hub_events", {"Arrival_Time", "Creation_Time", "id", "city"}, None),
        ("windows_quarantine", {"reason", "raw"}, "not JSON"),
    ],
)
def test_show_prints_a_table_and_its_rows_as_json(lab, monkeypatch, capsys, table, columns, first):
    monkeypatch.setattr(sys, "argv", ["streaming_lab", f"--root={lab.root}", f"--table={table}", "--limit=3"])
    show.main()
    *_, last = capsys.readouterr().out.splitlines()
    result = json.loads(last.removeprefix("streaming-lab-result: "))
    assert columns <= set(result["columns"])
    assert len(result["rows"]) == 3 < result["total"]
    assert first is None or result["rows"][0][0].startswith(first)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--table=nonsense"], "nonsense"),
        (["--table=activity", "--limit=0"], "'0' is not a number from 1 to 1000"),
    ],
)
def test_show_refuses_what_it_cannot_show(monkeypatch, arguments, sentence):
    monkeypatch.setattr(sys, "argv", ["streaming_lab", "--root=abfss://c@a.dfs.core.windows.net", *arguments])
    with pytest.raises(SystemExit, match=sentence):
        show.main()
