"""Exercise 2: its three queries as streams, beside a batch job with the same transforms and sinks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from streaming_lab import files, generator, windows
from streaming_lab.generate import SOURCES, input_line
from streaming_lab.layout import Layout
from streaming_lab.schemas import EVENT

from benchmarks.common import Outcome, Row, Sizes, alternate, medians, tell
from benchmarks.spark import ROOT_URL, in_fresh_jvm

NAME = "windows"
TABLES = ("windows_tumbling", "windows_sliding", "windows_quarantine")
QUERY = TABLES[0]
LIMIT = 2.0
ORIGINAL_PARTITIONS = 200

Work = Callable[[SparkSession, Layout], None]


def run(sizes: Sizes, state: Path) -> Outcome:
    """Both comparisons: with a batch job on the large input, with the original settings on the small one."""
    large, small = Layout(ROOT_URL, "large"), Layout(ROOT_URL, "small")
    tell(NAME, f"making {sizes.window_events:,} events")
    in_fresh_jvm(state, make_input, large, sizes.window_events, sizes.window_files)
    in_fresh_jvm(state, make_input, small, sizes.original_events, sizes.original_files)
    fresh = partial(in_fresh_jvm, state)
    against_batch = alternate(
        NAME,
        sizes.rounds,
        {
            "exercise": lambda: fresh(second_time, large, exercise, TABLES),
            "batch job": lambda: fresh(second_time, large, exercise_as_batch, TABLES),
            "one stream": lambda: fresh(second_time, large, tumbling, [QUERY]),
            "one batch write": lambda: fresh(second_time, large, tumbling_as_batch, [QUERY]),
        },
    )
    against_original = alternate(
        NAME,
        sizes.rounds,
        {
            "the lab's settings": lambda: fresh(second_time, small, tumbling, [QUERY]),
            "original settings": lambda: fresh(time_original, small),
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
                LIMIT,
            ),
            Row(
                NAME,
                f"original settings (200 shuffle partitions, one file a trigger) / the lab's, {few}",
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


def second_time(spark: SparkSession, layout: Layout, work: Work, tables: Sequence[str]) -> float:
    """Seconds that the work takes to write the tables, once the JVM is warm: when it is done the second time."""
    _timed(spark, layout, work, tables)
    return _timed(spark, layout, work, tables)


def time_original(spark: SparkSession, layout: Layout) -> float:
    """Seconds that the tumbling query takes with the original exercise's settings, after a warm-up with the lab's."""
    _timed(spark, layout, tumbling, [QUERY])
    spark.conf.set("spark.sql.shuffle.partitions", ORIGINAL_PARTITIONS)
    return _timed(spark, layout, partial(tumbling, files_per_batch=1), [QUERY])


def exercise(spark: SparkSession, layout: Layout) -> None:
    """The exercise's three queries, side by side."""
    starters = windows.queries(spark, layout, windows.Settings(), continuous=False)
    for query in [start() for start in starters]:
        query.awaitTermination()


def exercise_as_batch(spark: SparkSession, layout: Layout) -> None:
    """A batch job that writes the same three tables, side by side too."""
    frames = _batch_outputs(spark, layout)
    with ThreadPoolExecutor(len(frames)) as pool:
        list(pool.map(partial(_write, layout), frames.keys(), frames.values()))


def tumbling(spark: SparkSession, layout: Layout, files_per_batch: int = windows.FILES_PER_BATCH) -> None:
    """The tumbling query alone."""
    rows = windows.read_events(spark, layout.input("events"), files_per_batch)
    counts = windows.outputs(rows, rows, windows.Settings())[QUERY]
    windows.write(counts, QUERY, layout, continuous=False).awaitTermination()


def tumbling_as_batch(spark: SparkSession, layout: Layout) -> None:
    """A batch job that writes the tumbling query's table."""
    _write(layout, QUERY, _batch_outputs(spark, layout)[QUERY])


def _batch_outputs(spark: SparkSession, layout: Layout) -> dict[str, DataFrame]:
    rows = spark.read.schema(EVENT).json(layout.input("events"))
    return windows.outputs(rows, rows, windows.Settings())


def _write(layout: Layout, table: str, rows: DataFrame) -> None:
    rows.write.format("delta").save(layout.table(table))


def _timed(spark: SparkSession, layout: Layout, work: Work, tables: Sequence[str]) -> float:
    """Seconds of the work from nothing; RuntimeError where it stored nothing."""
    for name in TABLES:
        files.delete(layout.checkpoint(name))
        files.delete(layout.table(name))
    started = time.perf_counter()
    work(spark, layout)
    seconds = time.perf_counter() - started
    for name in tables:
        if spark.read.format("delta").load(layout.table(name)).isEmpty():
            raise RuntimeError(f"{layout.table(name)} is empty: nothing was measured")
    return seconds
