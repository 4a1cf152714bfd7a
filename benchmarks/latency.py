"""From the broker's timestamp to the Delta commit, with the lab's live queries, at the rate of one throughput unit."""

from __future__ import annotations

import json
import time
from pathlib import Path
from statistics import median, quantiles

from confluent_kafka import Producer
from pyspark.sql import Row as SparkRow
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from streaming_lab import event_hubs, generator, hub_runs, publish
from streaming_lab.hub_runs import HubRun, Listener
from streaming_lab.layout import Layout

from benchmarks.common import Outcome, Row, Sizes, tell
from benchmarks.hub import GROUP, HUB, RUN, Endpoint, running_hub
from benchmarks.spark import ROOT_URL, in_fresh_jvm, storage

NAME = "latency"


def run(sizes: Sizes, state: Path) -> Outcome:
    """Percentiles of each round, and their medians over the rounds."""
    rounds: list[dict[str, float]] = []
    for number in range(1, sizes.rounds + 1):
        # A hub and tables of its own for each round, in a state of its own.
        folder = state / f"round-{number}"
        folder.mkdir()
        with running_hub(folder) as hub:
            rounds.append(in_fresh_jvm(folder, measure, hub, storage(folder), sizes))
        told = ", ".join(f"{name} {value:.2f} s" for name, value in rounds[-1].items() if name.startswith("p"))
        tell(NAME, f"round {number} of {sizes.rounds}: {told}")
    what = f"{sizes.live_rate:,} events/s for {sizes.live_seconds} s, broker's timestamp to Delta commit"
    return Outcome(
        [Row(NAME, f"{name}, {what}", median(each[name] for each in rounds), "s") for name in ("p50", "p95", "p99")],
        {"rounds": rounds},
    )


def measure(spark: SparkSession, hub: Endpoint, folder: Path, sizes: Sizes) -> dict[str, float]:
    """Percentiles in seconds over the rows of the measured time, their number, and the rate that was really sent."""
    layout = Layout(ROOT_URL, "live")
    seconds = sizes.live_warm_up + sizes.live_seconds
    records = spark.range(0, sizes.live_rate * seconds, 1, 1).withColumnRenamed("id", "record")
    messages = publish.messages(generator.hub_events(records, "benchmark"), RUN).collect()
    listener, run = Listener(hub.connection_string("listen"), GROUP), HubRun(RUN)
    parsed = event_hubs.parsed(hub_runs.own(event_hubs.read_hub(spark, listener, run, event_hubs.LIVE_BATCH), run))
    queries = [start() for start in event_hubs.starters(parsed, parsed, layout, continuous=True).values()]
    _send(hub, messages[: sizes.live_rate * sizes.live_warm_up], sizes.live_rate)
    measured_from, started = time.time() * 1000, time.perf_counter()
    _send(hub, messages[sizes.live_rate * sizes.live_warm_up :], sizes.live_rate)
    sent_in = time.perf_counter() - started
    for query in queries:
        query.processAllAvailable()
        query.stop()
    committed = _commits(folder / "live" / "tables" / "hub_events" / "_delta_log")
    stored = spark.read.format("delta").load(layout.table("hub_events"))
    enqueued = stored.select(F.unix_millis("enqueued_time").alias("at"), F.col("_metadata.file_name").alias("file"))
    rows = enqueued.where(F.col("at") >= measured_from).collect()
    points = quantiles([(committed[row["file"]] - row["at"]) / 1000 for row in rows], n=100)
    sent = sizes.live_rate * sizes.live_seconds
    return {"p50": points[49], "p95": points[94], "p99": points[98], "rows": len(rows), "events/s": sent / sent_in}


def _send(hub: Endpoint, messages: list[SparkRow], rate: int) -> None:
    """Send at an even rate; the events' timestamps are the moments at which the hub received them."""
    producer = Producer(hub.client("send"))
    refused: list[str] = []
    started = time.perf_counter()
    for number, message in enumerate(messages):
        ahead = started + number / rate - time.perf_counter()
        if ahead > 0:
            time.sleep(ahead)
        producer.produce(
            HUB,
            message["value"],
            message["key"],
            headers=[(header["key"], bytes(header["value"])) for header in message["headers"]],
            on_delivery=lambda error, _: refused.append(error.str()) if error else None,
        )
        producer.poll(0)
    if producer.flush(60) or refused:
        raise RuntimeError(f"not all events were sent: {refused[0] if refused else 'the hub did not answer'}")


def _commits(log: Path) -> dict[str, float]:
    """When each data file of a Delta table was committed: its commit's modification time, in milliseconds since 1970.

    The commit's own timestamp is taken before it is written; a reader sees it from the modification time on.
    """
    committed: dict[str, float] = {}
    for commit in log.glob("*.json"):
        actions = [json.loads(line) for line in commit.read_text(encoding="utf-8").splitlines()]
        written = commit.stat().st_mtime_ns / 1e6
        committed |= {Path(action["add"]["path"]).name: written for action in actions if "add" in action}
    return committed
