"""Exercise 2: its three queries as streams, beside a batch job with the same transforms and sinks."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from streaming_lab import files, generator, windows
from streaming_lab.generate import SOURCES, input_line
from streaming_lab.layout import Layout
from streaming_lab.schemas import EVENT

from benchmarks.common import Outcome, Row, Sizes, alternate, medians, tell
from benchmarks.spark import ROOT_URL, in_fresh_jvm, storage

NAME = "windows"
TABLES = ("windows_tumbling", "windows_sliding", "windows_quarantine")
QUERY = TABLES[0]
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
            "exercise": lambda: fresh(time_exercise, large),
            "batch job": lambda: fresh(time_exercise_as_batch, large),
            "one stream": lambda: fresh(time_stream, large),
            "one batch write": lambda: fresh(time_batch, large),
        },
    )
    against_original = alternate(
        NAME,
        sizes.rounds,
        {
            "the lab's settings": lambda: fresh(time_stream, small),
            "original settings": lambda: fresh(time_original, small_by_path, default_file_systems=True),
        },
    )
    found = medians(against_batch | against_original)
    events, few = f"{sizes.window_events:,} events", f"{sizes.original_events:,} events"
    files_a_batch = f"{windows.FILES_PER_BATCH} of {sizes.window_files} files a batch"
    return Outcome(
        [
            Row(
                NAME,
                f"exercise 2, {files_a_batch} / batch job, {events}",
                found["exercise"],
                "s",
                found["batch job"],
                LIMIT,
            ),
            Row(
                NAME,
                f"its tumbling query alone / batch job, {events}",
                found["one stream"],
                "s",
                found["one batch write"],
            ),
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
    """The generator's events in so many files, written one after the other, as `generate --scale` makes them."""
    numbers = spark.range(0, events, 1, 1).withColumnRenamed("id", "record")
    lines = generator.events(numbers, "benchmark", events / SOURCES["events"][0])
    writer = lines.select(input_line("events").alias("value")).write
    writer.option("maxRecordsPerFile", -(-events // count)).mode("overwrite").text(layout.input("events"))


def time_exercise(spark: SparkSession, layout: Layout) -> float:
    """Seconds that the exercise's three queries take side by side, the second time."""
    _exercise(spark, layout)
    return _exercise(spark, layout)


def time_exercise_as_batch(spark: SparkSession, layout: Layout) -> float:
    """Seconds that a batch job takes to write the same three tables, side by side too, the second time."""
    _exercise_as_batch(spark, layout)
    return _exercise_as_batch(spark, layout)


def time_stream(spark: SparkSession, layout: Layout) -> float:
    """Seconds that the tumbling query takes, the second time."""
    _stream(spark, layout)
    return _stream(spark, layout)


def time_batch(spark: SparkSession, layout: Layout) -> float:
    """Seconds that a batch job takes to write the tumbling query's table, the second time."""
    _batch(spark, layout)
    return _batch(spark, layout)


def time_original(spark: SparkSession, layout: Layout) -> float:
    """Seconds that the query takes with the original exercise's settings, after a warm-up with the lab's."""
    _stream(spark, layout)
    spark.conf.set("spark.sql.shuffle.partitions", ORIGINAL_PARTITIONS)
    return _stream(spark, layout, files_per_batch=1)


def _exercise(spark: SparkSession, layout: Layout) -> float:
    _clear(spark, layout)
    started = time.perf_counter()
    starters = windows.queries(spark, layout, windows.Settings(), continuous=False)
    for query in [start() for start in starters]:
        query.awaitTermination()
    return _stored_after(spark, layout, time.perf_counter() - started, *TABLES)


def _exercise_as_batch(spark: SparkSession, layout: Layout) -> float:
    _clear(spark, layout)
    chosen = windows.Settings()
    started = time.perf_counter()
    rows = spark.read.schema(EVENT).json(layout.input("events"))
    events = windows.valid(rows)
    frames = (
        windows.tumbling(events, chosen.size, chosen.watermark),
        windows.sliding(events, chosen.size, chosen.slide, chosen.watermark),
        windows.quarantine(rows),
    )
    with ThreadPoolExecutor(len(TABLES)) as pool:
        list(pool.map(partial(_write, layout), frames, TABLES))
    return _stored_after(spark, layout, time.perf_counter() - started, *TABLES)


def _stream(spark: SparkSession, layout: Layout, files_per_batch: int = windows.FILES_PER_BATCH) -> float:
    _clear(spark, layout)
    started = time.perf_counter()
    counts = _counts(windows.read_events(spark, layout.input("events"), files_per_batch))
    windows.write(counts, QUERY, layout, continuous=False).awaitTermination()
    return _stored_after(spark, layout, time.perf_counter() - started, QUERY)


def _batch(spark: SparkSession, layout: Layout) -> float:
    _clear(spark, layout)
    started = time.perf_counter()
    _write(layout, _counts(spark.read.schema(EVENT).json(layout.input("events"))), QUERY)
    return _stored_after(spark, layout, time.perf_counter() - started, QUERY)


def _write(layout: Layout, rows: DataFrame, table: str) -> None:
    rows.write.format("delta").save(layout.table(table))


def _counts(events: DataFrame) -> DataFrame:
    chosen = windows.Settings()
    return windows.tumbling(windows.valid(events), chosen.size, chosen.watermark)


def _clear(spark: SparkSession, layout: Layout) -> None:
    for name in TABLES:
        files.delete(spark, layout.checkpoint(name))
        files.delete(spark, layout.table(name))


def _stored_after(spark: SparkSession, layout: Layout, seconds: float, *tables: str) -> float:
    """The seconds, unless nothing was stored in them."""
    for name in tables:
        if spark.read.format("delta").load(layout.table(name)).isEmpty():
            raise RuntimeError(f"{layout.table(name)} is empty: nothing was measured")
    return seconds
