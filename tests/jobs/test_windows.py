"""Exercise 2: every table that is expected is written down."""

import json
from datetime import UTC, datetime

import pytest
from pyspark.sql import functions as F
from streaming_lab import files, windows
from streaming_lab.layout import Layout
from streaming_lab.runtime import run_queries
from streaming_lab.schemas import EVENT

DAY = "2026-01-05"


def event(clock: str, action: str = "Open") -> str:
    time = datetime.fromisoformat(f"{DAY}T{clock}").replace(tzinfo=UTC)
    return json.dumps({"time": int(time.timestamp()), "action": action})


def table(frame):
    times = [F.date_format(name, "HH:mm").alias(name) for name in ("start", "end")]
    return sorted(tuple(row) for row in frame.select(*times, "action", "count").collect())


@pytest.fixture
def counted(spark, folder, root, write_input):
    """The events of some lines, as one batch frame."""

    def read(*lines):
        write_input("events", [list(lines)])
        return windows.valid(spark.read.schema(EVENT).json(f"{root}/exercises/input/events"))

    return read


def test_a_tumbling_window_holds_its_first_second_and_not_its_end(counted):
    events = counted(
        event("09:59:59"), event("10:00:00"), event("10:59:59"), event("11:00:00"), event("10:30:00", "Close")
    )
    assert table(windows.tumbling(events, "1 hour", "2 hours")) == [
        ("09:00", "10:00", "Open", 1),
        ("10:00", "11:00", "Close", 1),
        ("10:00", "11:00", "Open", 2),
        ("11:00", "12:00", "Open", 1),
    ]


def test_an_event_is_in_size_by_slide_many_sliding_windows(counted):
    events = counted(event("10:00:00"), event("10:14:59", "Close"))
    assert table(windows.sliding(events, "1 hour", "15 minutes", "2 hours")) == [
        ("09:15", "10:15", "Close", 1),
        ("09:15", "10:15", "Open", 1),
        ("09:30", "10:30", "Close", 1),
        ("09:30", "10:30", "Open", 1),
        ("09:45", "10:45", "Close", 1),
        ("09:45", "10:45", "Open", 1),
        ("10:00", "11:00", "Close", 1),
        ("10:00", "11:00", "Open", 1),
    ]


def test_a_row_behind_the_watermark_is_dropped_and_one_within_it_is_counted(spark, root, write_input, rows_of, capsys):
    layout = Layout(root)
    write_input(
        "events",
        [
            [event("10:10:00"), event("10:20:00")],
            [event("14:00:00")],  # the watermark moves to 12:00 after this file,
            [event("14:05:00")],  # and drops rows after this one
            [event("10:30:00"), event("12:30:00"), event("14:10:00", "Close")],  # too late, in time, in order
            [event("20:00:00")],
        ],
    )
    rows = windows.tumbling(windows.valid(windows.read_events(spark, layout.input("events"), 1)), "1 hour", "2 hours")

    def start():
        return windows.write(rows, "windows_tumbling", layout, continuous=False)

    run_queries(spark, "windows", layout, [start])

    assert rows_of("windows_tumbling") == [
        (f"{DAY} 10:00:00", f"{DAY} 11:00:00", "Open", 2),
        (f"{DAY} 12:00:00", f"{DAY} 13:00:00", "Open", 1),
        (f"{DAY} 14:00:00", f"{DAY} 15:00:00", "Close", 1),
        (f"{DAY} 14:00:00", f"{DAY} 15:00:00", "Open", 2),
    ]
    assert capsys.readouterr().out.endswith(", 1 late groups dropped\n")


def test_the_task_fills_all_tables_and_begins_anew_with_other_settings(spark, root, write_input, rows_of, run_task):
    write_input(
        "events",
        [
            [event("10:00:00"), event("10:45:00", "Close"), '{"time":17676', '{"time":1767600000,"action":"Jam"}'],
            [event("20:00:00"), '{"action":"Open"}', '{"time":1767600000}', '{"time":"soon","action":"Open"}'],
        ],
    )
    run_task(windows)
    assert rows_of("windows_tumbling") == [
        (f"{DAY} 10:00:00", f"{DAY} 11:00:00", "Close", 1),
        (f"{DAY} 10:00:00", f"{DAY} 11:00:00", "Open", 1),
    ]
    assert len(rows_of("windows_sliding")) == 8
    quarantined = [
        ("action is missing", '{"time":1767600000}'),
        ("action is not Open or Close", '{"time":1767600000,"action":"Jam"}'),
        ("not JSON of the event schema", '{"time":"soon","action":"Open"}'),
        ("not JSON of the event schema", '{"time":17676'),
        ("time is missing", '{"action":"Open"}'),
    ]
    assert rows_of("windows_quarantine") == quarantined

    run_task(windows, "--size=30 minutes", "--slide=30 MINUTE")
    half_hours = [
        (f"{DAY} 10:00:00", f"{DAY} 10:30:00", "Open", 1),
        (f"{DAY} 10:30:00", f"{DAY} 11:00:00", "Close", 1),
    ]
    assert rows_of("windows_tumbling") == half_hours
    assert rows_of("windows_sliding") == half_hours
    assert rows_of("windows_quarantine") == quarantined
    assert windows.read_settings(Layout(root)) == windows.Settings("30 minutes", "30 minutes", "2 hours")


def test_settings_of_an_interrupted_change_are_not_trusted(spark, root, folder):
    layout = Layout(root)
    half_deleted = folder / "exercises" / "checkpoints" / "windows_sliding" / "offsets"
    half_deleted.mkdir(parents=True)
    windows.use_settings(layout, windows.Settings())
    assert not half_deleted.exists()
    assert files.read_json(layout.window_settings) == {
        "size": "1 hour",
        "slide": "15 minutes",
        "watermark": "2 hours",
    }


def test_after_an_interrupted_change_of_settings_the_former_ones_count_each_event_once(
    write_input, rows_of, run_task, monkeypatch
):
    write_input("events", [[event("10:00:00")], [event("20:00:00")]])
    run_task(windows)
    counted = rows_of("windows_tumbling")

    def interrupted(path, delete=files.delete):
        if path.endswith("tables/windows_tumbling"):
            raise KeyboardInterrupt
        delete(path)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(files, "delete", interrupted)
        run_task(windows, "--size=30 minutes")
    run_task(windows)
    assert rows_of("windows_tumbling") == counted


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        (
            "--size=an hour",
            "argument --size: 'an hour' is not a length of time such as '15 minutes' or '1 hour'",
        ),
        ("--watermark=0 hours", "'0 hours' is not a length of time"),
        ("--slide=2 hours", "argument --slide: 2 hours is longer than the windows' size, 1 hour"),
    ],
)
def test_wrong_window_arguments_are_refused_in_one_sentence(run_task, argument, sentence):
    with pytest.raises(SystemExit) as refusal:
        run_task(windows, argument)
    assert sentence in str(refusal.value)


def test_the_live_lab_makes_the_events_that_it_counts(spark, root):
    layout = Layout(root, "live")
    live_input = windows.live_input(spark, layout)
    starters = [live_input, *windows.queries(spark, layout, windows.Settings(), continuous=True)]
    rows = {}

    def events_are_counted(_query):
        rows.update(
            {query.name: query.lastProgress["numInputRows"] for query in spark.streams.active if query.lastProgress}
        )
        return rows.get("windows_tumbling", 0) > 0

    run_queries(spark, "windows", layout, starters, until=events_are_counted, continuous=True)
    made = spark.read.schema(EVENT).json(layout.input("events"))
    assert windows.valid(made).count() >= rows["windows_tumbling"] * 0.9
    each_file = {row["count"] for row in made.groupBy("_metadata.file_name").count().collect()}
    assert each_file == {windows.LIVE_EVENTS}
