"""Exercise 2: the tumbling query as a stream, beside a batch job with the same transform and sink."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from streaming_lab import files, generator, windows
from streaming_lab.generate import input_line
from streaming_lab.layout import Layout
from streaming_lab.schemas import EVENT

from benchmarks.common import Outcome, Row, Sizes, alternate, medians, tell
from benchmarks.spark import ROOT_URL, in_fresh_jvm, storage

NAME = "windows"
QUERY = "windows_tumbling"
LIMIT = 2.0
ORIGINAL_PARTITIONS = 200


def run(sizes: Sizes, state: Path) -> Outcome:
    """Both comparisons: with a batch job on the large input, with the original settings on the small one."""
    # The default file systems know no abfss: there the same folder goes by its path.
    large, small = Layout(ROOT_URL, "large"), Layout(ROOT_URL, "small")
    small_by_path = Layout(storage(state).as_uri(), "small")
    tell(NAME, f"making {sizes.window_events:,} events")
    in_fresh_jvm(state, make_input, large, sizes.window_events, sizes.window_files)
    in_fresh_jvm(state, make_input, small, sizes.original_events, sizes.original_files)
    fresh = partial(in_fresh_jvm, state)
    against_batch = alternate(
        NAME,
        sizes.rounds,
        {
            "stream": lambda: fresh(time_stream, large, windows.FILES_PER_BATCH),
            "stream, one batch": lambda: fresh(time_stream, large, sizes.window_files),
            "batch job": lambda: fresh(time_batch, large),
        },
    )
    against_original = alternate(
        NAME,
        sizes.rounds,
        {
            "the lab's settings": lambda: fresh(time_stream, small, windows.FILES_PER_BATCH),
            "original settings": lambda: fresh(time_original, small_by_path, default_file_systems=True),
        },
    )
    found = medians(against_batch | against_original)
    batch = found["batch job"]
    events, few = f"{sizes.window_events:,} events", f"{sizes.original_events:,} events"
    files_a_batch = f"{windows.FILES_PER_BATCH} of {sizes.window_files} files a batch"
    return Outcome(
        [
            Row(NAME, f"stream, {files_a_batch} / batch job, {events}", found["stream"], "s", batch, LIMIT),
            Row(NAME, f"stream, all files in one batch / batch job, {events}", found["stream, one batch"], "s", batch),
            Row(
                NAME,
                f"original settings / the lab's, {few} in {sizes.original_files} files",
                found["original settings"],
                "s",
                found["the lab's settings"],
            ),
        ],
        {"seconds": against_batch | against_original},
    )


def make_input(spark: SparkSession, layout: Layout, events: int, count: int) -> None:
    """The generator's events in so many files, written one after the other."""
    lines = generator.events(spark.range(0, events, 1, 1).withColumnRenamed("id", "record"), "benchmark")
    writer = lines.select(input_line("events").alias("value")).write
    writer.option("maxRecordsPerFile", -(-events // count)).mode("overwrite").text(layout.input("events"))


def time_stream(spark: SparkSession, layout: Layout, files_per_batch: int) -> float:
    """Seconds that the lab's query takes, the second time."""
    _stream(spark, layout, files_per_batch)
    return _stream(spark, layout, files_per_batch)


def time_batch(spark: SparkSession, layout: Layout) -> float:
    """Seconds that the batch job takes, the second time."""
    _batch(spark, layout)
    return _batch(spark, layout)


def time_original(spark: SparkSession, layout: Layout) -> float:
    """Seconds that the query takes with the original exercise's settings, after a warm-up with the lab's."""
    _stream(spark, layout, windows.FILES_PER_BATCH)
    spark.conf.set("spark.sql.shuffle.partitions", ORIGINAL_PARTITIONS)
    return _stream(spark, layout, files_per_batch=1)


def _stream(spark: SparkSession, layout: Layout, files_per_batch: int) -> float:
    _clear(spark, layout)
    started = time.perf_counter()
    counts = _counts(windows.read_events(spark, layout.input("events"), files_per_batch))
    windows.write(counts, QUERY, layout, continuous=False).awaitTermination()
    return _stored_after(spark, layout, time.perf_counter() - started)


def _batch(spark: SparkSession, layout: Layout) -> float:
    _clear(spark, layout)
    started = time.perf_counter()
    counts = _counts(spark.read.schema(EVENT).json(layout.input("events")))
    counts.write.format("delta").save(layout.table(QUERY))
    return _stored_after(spark, layout, time.perf_counter() - started)


def _counts(events: DataFrame) -> DataFrame:
    chosen = windows.Settings()
    return windows.tumbling(windows.valid(events), chosen.size, chosen.watermark)


def _clear(spark: SparkSession, layout: Layout) -> None:
    files.delete(spark, layout.checkpoint(QUERY))
    files.delete(spark, layout.table(QUERY))


def _stored_after(spark: SparkSession, layout: Layout, seconds: float) -> float:
    """The seconds, unless nothing was stored in them."""
    if spark.read.format("delta").load(layout.table(QUERY)).isEmpty():
        raise RuntimeError(f"{layout.table(QUERY)} is empty: nothing was measured")
    return seconds
