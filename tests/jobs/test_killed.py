"""kill -9 in the middle of sending and reading, then the same again: nothing is lost, nothing is stored twice."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from streaming_lab import event_hubs, generate, hub_runs, measure, publish
from streaming_lab.hub_runs import Listener
from streaming_lab.layout import Layout
from streaming_lab.manifest import new_manifest, write_manifest
from streaming_lab.runtime import run_queries

pytest_plugins = ["tests.jobs.broker"]

DRIVER = """
import json, sys
from pathlib import Path
from streaming_lab import event_hubs, hub_runs, publish
from streaming_lab.layout import Layout
from tests.jobs.cluster import running_spark

storage, work_dir, root, send, listen = json.loads(sys.stdin.read())
with running_spark(Path(storage), Path(work_dir)) as spark:
    layout = Layout(root)
    listener, run = hub_runs.Listener(listen, "killed"), hub_runs.saved_run(layout)
    sending = publish.sending(spark, layout, run, send, seconds=0.1).start()
    # A run without offsets is read from its first event on, which a partition without any would not have.
    while sending.lastProgress is None:
        sending.awaitTermination(0.1)
    stream = event_hubs.parsed(hub_runs.own(event_hubs.read_hub(spark, listener, run, 100), run))
    for start in event_hubs.starters(stream, stream, layout, continuous=True).values():
        start()
    spark.streams.awaitAnyTermination()
"""


@pytest.fixture
def sent(spark, root, monkeypatch):
    """A manifest of 600 hub events in 6 files and the run that is to send them, and nothing else."""
    monkeypatch.setattr(generate, "FILES", 6)
    layout = Layout(root)
    source = generate.write_source(spark, layout, "hub_events", "killed", 0.03)
    manifest = new_manifest("killed", 0.03, {"hub_events": source})
    write_manifest(layout, manifest)
    hub_runs.save_run(layout, hub_runs.new_run())
    return manifest


def test_a_killed_driver_is_finished_by_the_next_run_with_remainder_zero(
    spark, storage, tmp_path, broker, root, folder, sent
):
    layout, hub = Layout(root), broker.hub("killed")
    listener = Listener(hub.listen, "killed")
    checkpoints = folder / "exercises/checkpoints"
    # The driver finds half of the files, so it is sure to be killed before the end.
    later = sorted((folder / "exercises/input/hub_events").glob("part-*"))[3:]
    for file in later:
        file.rename(folder / file.name)
    kill_when(
        lambda: (checkpoints / "publish/commits/2").exists() and (checkpoints / "event_hubs/commits/1").exists(),
        json.dumps([str(storage), str(tmp_path), root, hub.send, hub.listen]),
    )
    interrupted = measure.event_hubs_ledger(spark, layout, sent, listener)
    assert any("publish has not been run to its end" in problem for problem in interrupted.problems)

    for file in later:
        (folder / file.name).rename(file)
    # The worst moment: a batch is written, and its query had no time to say so.
    for query in ("publish", "event_hubs", "event_hubs_quarantine"):
        interrupt(checkpoints / query)

    publish.publish(spark, layout, hub.send, listener, 10_000)
    run = hub_runs.saved_run(layout)
    stream = event_hubs.parsed(hub_runs.own(event_hubs.read_hub(spark, listener, run, 200), run))
    run_queries(spark, "event_hubs", layout, list(event_hubs.starters(stream, stream, layout).values()))
    finished = measure.event_hubs_ledger(spark, layout, sent, listener)
    assert (finished.remainder, finished.problems) == (0, [])
    assert finished.sent >= 700  # 600 and the batch that was sent twice
    ids = spark.read.format("delta").load(layout.table("hub_events")).select("id")
    assert ids.count() == ids.distinct().count() == finished.stored


def interrupt(checkpoint: Path) -> None:
    """Leave the last batch planned and not committed, as a kill inside it does."""
    offsets, commits = (
        max((int(file.name) for file in (checkpoint / log).iterdir() if file.name.isdigit()), default=-1)
        for log in ("offsets", "commits")
    )
    if offsets == commits:
        (checkpoint / "commits" / str(commits)).unlink()


def kill_when(ready, request: str) -> None:
    """Start a driver of its own, JVM included, and kill -9 all of it once it is so far."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=environment,
    )
    try:
        driver.stdin.write(request.encode())
        driver.stdin.close()
        while not ready():
            with suppress(subprocess.TimeoutExpired):
                driver.wait(0.1)
                pytest.fail(driver.stderr.read().decode()[-2000:])
    finally:
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
