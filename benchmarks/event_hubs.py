"""Exercise 3: hub, parse, each id once, Delta; as a stream, as a batch job, and the hub read by a plain consumer."""

from __future__ import annotations

import math
import time
from functools import partial
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from pyspark.sql import SparkSession
from streaming_lab import event_hubs, files, generator, hub_runs, publish
from streaming_lab.connection import write_options
from streaming_lab.generate import SOURCES
from streaming_lab.hub_runs import HubRun, Listener
from streaming_lab.layout import Layout

from benchmarks.common import Outcome, Row, Sizes, alternate, medians, tell
from benchmarks.hub import GROUP, HUB, PARTITIONS, RUN, Endpoint, running_hub
from benchmarks.spark import ROOT_URL, in_fresh_jvm

NAME = "event_hubs"
QUERY, TABLE = "event_hubs", "hub_events"
LIMIT = 0.7


def run(sizes: Sizes, state: Path) -> Outcome:
    """Rates in events a second, each the median of its rounds."""
    events = sizes.hub_events
    with running_hub(state) as hub:
        tell(NAME, f"sending {events:,} events")
        in_fresh_jvm(state, fill, hub.connection_string("send"), events)
        listen = hub.connection_string("listen")
        fresh = partial(in_fresh_jvm, state)
        size = consume(hub, events)[1] / events
        samples = alternate(
            NAME,
            sizes.rounds,
            {
                "stream": lambda: fresh(time_stream, listen, events),
                "batch read": lambda: fresh(time_batch, listen),
                "plain consumer": lambda: consume(hub, events)[0],
            },
        )
    rates = {name: events / seconds for name, seconds in medians(samples).items()}
    what = f"{events:,} events of {size:.0f} bytes, {PARTITIONS} partitions"
    return Outcome(
        [
            Row(
                NAME,
                f"stream in {event_hubs.BATCHES} batches / batch read, {what}",
                rates["stream"],
                "events/s",
                rates["batch read"],
                LIMIT,
                at_least=True,
            ),
            Row(NAME, "stream / plain consumer", rates["stream"], "events/s", rates["plain consumer"]),
        ],
        {"seconds": samples, "bytes_an_event": size},
    )


def fill(spark: SparkSession, connection_string: str, events: int) -> None:
    """Send the generator's events as `publish` does, without its bounded rate."""
    records = spark.range(0, events, 1, PARTITIONS).withColumnRenamed("id", "record")
    rows = publish.messages(generator.hub_events(records, "benchmark", events / SOURCES["hub_events"][0]), RUN)
    rows.write.format("kafka").options(**write_options(connection_string)).save()


def time_stream(spark: SparkSession, connection_string: str, events: int) -> float:
    """Seconds that the lab's query takes, the second time."""
    _stream(spark, connection_string, events)
    return _stream(spark, connection_string, events)


def time_batch(spark: SparkSession, connection_string: str) -> float:
    """Seconds that the batch job takes, the second time."""
    _batch(spark, connection_string)
    return _batch(spark, connection_string)


def consume(hub: Endpoint, events: int) -> tuple[float, int]:
    """Seconds from the subscription to the last event for a consumer that only counts; and the bodies' bytes."""
    consumer = Consumer(hub.client("listen") | {"group.id": f"{GROUP}-consumer", "enable.auto.commit": False})
    started = time.perf_counter()
    consumer.assign([TopicPartition(HUB, partition, OFFSET_BEGINNING) for partition in range(PARTITIONS)])
    count = size = 0
    while count < events:
        # Never more than are left: it would wait for them.
        for message in consumer.consume(min(10_000, events - count), timeout=1):
            if message.error():
                raise RuntimeError(message.error().str())
            count += 1
            size += len(message.value())
    seconds = time.perf_counter() - started
    consumer.close()
    return seconds, size


def _stream(spark: SparkSession, connection_string: str, events: int) -> float:
    layout = _cleared()
    started = time.perf_counter()
    listener, run = Listener(connection_string, GROUP), HubRun(RUN)
    hub = event_hubs.read_hub(spark, listener, run, math.ceil(events / event_hubs.BATCHES))
    parsed = event_hubs.parsed(hub_runs.own(hub, run))
    event_hubs.starters(parsed, parsed, layout)[QUERY]().awaitTermination()
    return _stored_after(spark, layout, time.perf_counter() - started)


def _batch(spark: SparkSession, connection_string: str) -> float:
    layout = _cleared()
    started = time.perf_counter()
    hub = hub_runs.as_table(spark, Listener(connection_string, GROUP), HubRun(RUN))
    flat = event_hubs.flat(event_hubs.parsed(hub))
    # A batch has no watermark: all of it is within reach.
    flat.dropDuplicates(["id"]).write.format("delta").save(layout.table(TABLE))
    return _stored_after(spark, layout, time.perf_counter() - started)


def _cleared() -> Layout:
    layout = Layout(ROOT_URL, "hub")
    files.delete(layout.checkpoint(QUERY))
    files.delete(layout.table(TABLE))
    return layout


def _stored_after(spark: SparkSession, layout: Layout, seconds: float) -> float:
    """The seconds, unless nothing was stored in them."""
    if spark.read.format("delta").load(layout.table(TABLE)).isEmpty():
        raise RuntimeError(f"{layout.table(TABLE)} is empty: nothing was measured")
    return seconds
