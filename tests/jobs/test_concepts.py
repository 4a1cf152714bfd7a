"""Exercise 1: the stream of activity files, its quarantine, and what the task tells about streams."""

import json

import pytest
from streaming_lab import concepts
from streaming_lab.schemas import ACTIVITY

SAMPLE = {
    "Recorded_At": "2026-01-05T10:00:00.005Z",
    "Device": "nexus4_1",
    "Index": 7,
    "Model": "nexus4",
    "User": "a",
    "gt": "walk",
    "x": 0.5,
    "y": -0.25,
    "z": 9.81,
}


def sample(**changes):
    return json.dumps({**SAMPLE, **changes}, separators=(",", ":"))


def test_rows_are_stored_with_user_id_and_malformed_ones_quarantined_with_their_text(write_input, rows_of, run_task):
    cut_off = sample()[:40]
    wrong_type = sample(x="broken")
    write_input("activity", [[sample(), cut_off], [sample(Index=8, gt="null"), wrong_type], [sample(Index=None)]])
    run_task(concepts)
    assert rows_of("activity", "User_ID", "User", "Device", "Model", "gt", "x", "y", "z") == [
        (7, "a", "nexus4_1", "nexus4", "walk", 0.5, -0.25, 9.81),
        (8, "a", "nexus4_1", "nexus4", "null", 0.5, -0.25, 9.81),
    ]
    assert rows_of("activity_quarantine") == [
        (
            "Index is missing",
            '{"Recorded_At":"2026-01-05T10:00:00.005Z","Device":"nexus4_1","Model":"nexus4","User":"a",'
            '"gt":"walk","x":0.5,"y":-0.25,"z":9.81}',
        ),
        ("not JSON of the activity schema", wrong_type),
        ("not JSON of the activity schema", cut_off),
    ]


def test_the_stored_columns_are_those_of_the_lab_and_times_keep_their_milliseconds(spark, root, write_input):
    write_input("activity", [[sample()]])
    stored = concepts.transform(spark.read.schema(ACTIVITY).json(f"{root}/exercises/input/activity"))
    assert stored.columns == ["Recorded_At", "Device", "User_ID", "Model", "User", "gt", "x", "y", "z"]
    assert stored.selectExpr("unix_millis(Recorded_At)").first()[0] == 1767607200005


def test_the_log_tells_each_point_of_the_exercise(spark, write_input, run_task, capsys):
    write_input("activity", [[sample(Index=index)] for index in range(3)])
    run_task(concepts)
    log = capsys.readouterr().out
    assert "isStreaming: True" in log
    assert "A sort on the stream: Sorting is not supported on streaming DataFrames/Datasets" in log
    assert "awaitTermination(5) of stream_1p:" in log
    assert "status of stream_1p: {'message':" in log
    # One file in each batch.
    assert "recentProgress of stream_1p (batch, rows): [(0, 1), (1, 1), (2, 1)]" in log
    assert "active streams: ['ticks_1', 'ticks_2']" in log
    assert "after stopping ticks_1: ['ticks_2']" in log
    assert "after stopping all: []" in log
    assert spark.streams.active == []


def test_a_second_run_reads_only_what_is_new(write_input, rows_of, run_task):
    write_input("activity", [[sample(Index=1)]])
    run_task(concepts)
    write_input("activity", [[sample(Index=1)], [sample(Index=2)]])
    run_task(concepts)
    assert rows_of("activity", "User_ID") == [(1,), (2,)]


def test_a_task_without_input_says_what_to_run_first(root, run_task):
    with pytest.raises(SystemExit) as end:
        run_task(concepts)
    assert str(end.value) == f"there is no input in {root}/exercises/input/activity; run the task generate first"
