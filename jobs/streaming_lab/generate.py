"""Task `generate`: the input files of the exercises and their manifest, the same for the same seed and scale."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from streaming_lab import files, generator
from streaming_lab.arguments import layout_of, positive_number, task_parser
from streaming_lab.layout import Layout
from streaming_lab.manifest import Manifest, Source, asked_scale, new_manifest, read_manifest, write_manifest
from streaming_lab.result import print_result
from streaming_lab.session import session

FILES = 20
"""Files of a source, each with the same number of records."""

HUB_EVENTS_A_FILE = 1000
"""At most: `publish` sends a file in one burst, and one throughput unit takes 1,000 events a second. Above scale 1 the
source `hub_events` has more files instead."""

SOURCES: dict[str, tuple[int, Callable[[DataFrame, str, float], DataFrame]]] = {
    "activity": (60_000, generator.activity),
    "events": (60_000, generator.events),
    "hub_events": (20_000, generator.hub_events),
}
"""The records at scale 1 and the expressions of each source."""


def main() -> None:
    """Make the input, unless the same input is there already."""
    parser = task_parser("generate", "make the input files of the exercises")
    parser.add_argument("--seed", required=True, help="what the data are made from: course and student")
    parser.add_argument("--scale", type=_scale, help="multiplies the number of records; empty: as before, at first 1")
    arguments = parser.parse_args()
    if arguments.dataset != "exercises":
        parser.error(f"argument --dataset: {arguments.dataset} is not generated, only exercises is")

    manifest, changed = generate(session(), layout_of(arguments), arguments.seed, arguments.scale)
    for name, source in manifest.sources.items():
        print(
            f"{name}: {source.records:,} records in {source.files} files, {source.malformed:,} malformed, "
            f"{source.late:,} late, {source.duplicates:,} duplicates"
        )
    print("The input was made." if changed else "The same input was there; nothing was changed.")
    print_result({"changed": changed, "manifest": asdict(manifest)})


def generate(spark: SparkSession, layout: Layout, seed: str, scale: float | None = None) -> tuple[Manifest, bool]:
    """The manifest of the data set's input, and whether it was made now; without a scale, it is the one from before.

    Input of another seed or scale, or without a whole manifest (an interrupted generation), is deleted with everything
    that was made from it: a checkpoint must never meet files that it does not know.
    """
    scale = scale or asked_scale(layout) or 1.0
    manifest = read_manifest(layout)
    if manifest is not None and (manifest.seed, manifest.scale) == (seed, scale):
        return manifest, False

    # A manifest without sources comes first: the next run sees from it that this one was interrupted, and its scale.
    write_manifest(layout, new_manifest(seed, scale, {}))
    leftovers = [layout.checkpoints, layout.tables, layout.ledgers, layout.window_settings, layout.hub_run]
    for path in [*leftovers, *map(layout.input, SOURCES)]:
        files.delete(path)
    sources = {name: write_source(spark, layout, name, seed, scale) for name in SOURCES}
    manifest = new_manifest(seed, scale, sources)
    write_manifest(layout, manifest)
    return manifest, True


def write_source(spark: SparkSession, layout: Layout, name: str, seed: str, scale: float) -> Source:
    """Write the files of one source, and count what is in them."""
    at_scale_1, expressions = SOURCES[name]
    records = max(1, round(at_scale_1 * scale))
    records_per_file = math.ceil(records / FILES)
    if name == "hub_events":
        records_per_file = min(records_per_file, HUB_EVENTS_A_FILE)
    # One partition, so that one task writes the files one after the other: a stream reads them by modification time.
    lines = expressions(spark.range(0, records, 1, numPartitions=1).withColumnRenamed("id", "record"), seed, scale)
    (
        lines.select(input_line(name).alias("value"))
        .write.option("maxRecordsPerFile", records_per_file)
        .mode("overwrite")
        .text(layout.input(name))
    )
    kinds = {row["kind"]: row["count"] for row in lines.groupBy("kind").count().collect()}
    return Source(
        records=sum(kinds.values()),
        files=math.ceil(records / records_per_file),
        malformed=kinds.get("malformed", 0),
        late=kinds.get("late", 0),
        duplicates=kinds.get("duplicate", 0),
    )


def _scale(text: str) -> float | None:
    """The job's parameter is empty where a run does not choose."""
    return positive_number(text) if text else None


def input_line(source: str) -> Column:
    """A line of the input: the body itself, or for the hub its transmission number and the body as text."""
    if source == "hub_events":
        return F.to_json(F.struct("record", "body"))
    return F.col("body")
