"""A driver that is killed in the middle, and goes on from its checkpoint."""

import json
import os
import signal
import subprocess
import sys

from streaming_lab import windows
from streaming_lab.layout import Layout

FILES = 6

KILLED_DRIVER = """
import os, signal, sys
from pathlib import Path
from streaming_lab import windows
from streaming_lab.layout import Layout
from streaming_lab.runtime import run_queries
from tests.jobs.cluster import running_spark

storage, work_dir, root = sys.argv[1:]
queries = []

def start():
    queries.append(windows.write(counts, "windows_tumbling", layout, continuous=False))
    return queries[0]

def kill(_query):
    progress = queries[0].lastProgress
    if progress and progress["batchId"] >= 1:
        os.killpg(0, signal.SIGKILL)
    return False

with running_spark(Path(storage), Path(work_dir)) as spark:
    layout = Layout(root)
    events = windows.valid(windows.read_events(spark, layout.input("events"), 1))
    counts = windows.tumbling(events, "1 hour", "2 hours")
    run_queries(spark, "windows", layout, [start], until=kill)
"""


def test_a_query_killed_in_the_middle_goes_on_to_the_same_table(
    spark, storage, tmp_path, root, folder, write_input, rows_of
):
    hour = 3600
    # Five events in each of six hours, and in the last file one for the first hour, which is over by then.
    lines = [
        [json.dumps({"time": number * hour + second, "action": "Open"}) for second in range(0, 50, 10)]
        for number in range(FILES)
    ]
    lines[-1].append(json.dumps({"time": 30, "action": "Open"}))
    write_input("events", lines)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_DRIVER, storage, tmp_path, root],
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        start_new_session=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    layout = Layout(root)
    commits = folder / "exercises" / "checkpoints" / "windows_tumbling" / "commits"
    assert 2 <= len([name for name in commits.iterdir() if name.name.isdigit()]) < FILES

    events = windows.valid(windows.read_events(spark, layout.input("events"), 1))
    counts = windows.tumbling(events, "1 hour", "2 hours")
    windows.write(counts, "windows_tumbling", layout, continuous=False).awaitTermination()

    assert rows_of("windows_tumbling") == [
        ("1970-01-01 00:00:00", "1970-01-01 01:00:00", "Open", 5),
        ("1970-01-01 01:00:00", "1970-01-01 02:00:00", "Open", 5),
        ("1970-01-01 02:00:00", "1970-01-01 03:00:00", "Open", 5),
    ]
