"""Exercise 3, points 3 to 6: read the hub, parse and flatten its events, keep each id once, set bad bodies aside.

hub ─▶ own run ─▶ body as text ─▶ from_json ─┬▶ flat ─▶ one row an id ─▶ tables/hub_events
                                             └▶ body and reason ───────▶ tables/hub_events_quarantine
"""

import json
import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from pyspark.errors import StreamingQueryException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.types import StringType, StructField, StructType

from streaming_lab import files, hub_runs, replay, upkeep
from streaming_lab.arguments import layout_of, task_parser
from streaming_lab.connection import from_secret
from streaming_lab.hub_runs import HubRun, Listener, header
from streaming_lab.layout import HUB_TABLES, Layout
from streaming_lab.manifest import read_manifest
from streaming_lab.runtime import run_queries, with_trigger
from streaming_lab.schemas import CORRUPT, HUB_EVENT
from streaming_lab.session import session

# 4. The schema of a body. What does not fit it lands in _corrupt_record, whole.
BODY = StructType([*HUB_EVENT.fields, StructField(CORRUPT, StringType())])

# How long an id is remembered, and how late an event may be.
WATERMARK = "10 minutes"

# Late events are dropped by the watermark of the batch before, so not in the first two: the fewest that show it.
BATCHES = 3

# Bad bodies are few and need no watermark: a batch of so many events spares them many small commits.
QUARANTINE_EVENTS = 1_000_000

# What the live lab reads at most in a batch: ten seconds of one throughput unit.
LIVE_BATCH = 10_000

# What a checkpoint keeps of a batch: where it ends, and that it is done.
_LOGS = ("offsets", "commits")
_SPARK_55271 = 'because the return value of "scala.Option.get()" is null'

# 9999-12-31: a time beyond it has no timestamp, and the conversion's error would end the query.
_LAST_MILLISECOND = 253402300799999


def main() -> None:
    """The task `event_hubs`."""
    parser = task_parser("event_hubs", "Read the hub, parse its events and store them.", streaming=True)
    parser.add_argument("--scope", required=True, help="secret scope with the Listen connection string")
    parser.add_argument("--consumer-group", required=True, help="consumer group, the prefix of the queries' group ids")
    arguments = parser.parse_args()
    layout, spark = layout_of(arguments), session()
    run, events_a_batch = _run_of(layout)
    listener = Listener(from_secret(arguments.scope, "event-hubs-listen"), arguments.consumer_group)

    def read(limit: int) -> DataFrame:
        return parsed(hub_runs.own(read_hub(spark, listener, run, limit), run))

    both = starters(read(events_a_batch), read(QUARANTINE_EVENTS), layout, continuous=arguments.continuous)
    # A run without an end is never read to it.
    to_start = [both[query] for query in both if not (run.offsets and run.is_read(_ends_before(spark, layout, query)))]
    if not to_start:
        print("event_hubs: all events of the run are in the tables already")
        return
    run_queries(
        spark,
        "event_hubs",
        layout,
        to_start,
        control=arguments.control,
        continuous=arguments.continuous,
        # The hub may go on for hours behind the run's last event.
        until=lambda query: run.is_read(_ends(query)),
        chores=[
            upkeep.keep_latest(spark, layout.table(table), "enqueued_time", "10 minutes")
            for table in HUB_TABLES.values()
        ],
    )


def starters(
    to_store: DataFrame, to_quarantine: DataFrame, layout: Layout, *, continuous: bool = False
) -> dict[str, Callable[[], StreamingQuery]]:
    """The exercise's two queries by name, each with its own checkpoint: the events, and what could not be parsed.

    Both frames are `parsed` ones of the same hub; they may differ in how many events make a batch.
    """
    outputs = {"event_hubs": once(flat(to_store)), "event_hubs_quarantine": malformed(to_quarantine)}

    def starter(query: str, frame: DataFrame) -> Callable[[], StreamingQuery]:
        writer = frame.writeStream.queryName(query).format("delta")
        writer = with_trigger(writer.option("checkpointLocation", layout.checkpoint(query)), continuous=continuous)
        start = partial(writer.start, layout.table(HUB_TABLES[query]))
        return partial(_start, start, layout.checkpoint(query))

    return {query: starter(query, frame) for query, frame in outputs.items()}


def _start(start: Callable[[], StreamingQuery], checkpoint: str) -> StreamingQuery:
    """Start a query, and once more where a bug of Spark 4.1 ends it.

    A Kafka query that was killed inside a batch does that batch again when it starts, commits it, and then fails as it
    reports its progress (SPARK-55271). From there it goes on as if nothing had been.
    """
    last = [max(map(int, filter(str.isdigit, files.names(f"{checkpoint}/{log}"))), default=-1) for log in _LOGS]
    query = start()
    if last[0] > last[1]:
        with suppress(StreamingQueryException):
            while query.isActive and query.lastProgress is None:
                query.awaitTermination(1)
        if _SPARK_55271 in str(query.exception()):
            return start()
    return query


def _run_of(layout: Layout) -> tuple[HubRun, int]:
    """The run whose events are read, and how many of the hub's events make a batch."""
    if layout.dataset == "live":
        return hub_runs.LIVE, LIVE_BATCH
    manifest, run = read_manifest(layout), hub_runs.saved_run(layout)
    if manifest is None or run is None or not run.offsets:
        raise SystemExit("the events are not in the hub yet: run generate and publish first, to their end")
    return run, max(1000, math.ceil(manifest.sources["hub_events"].records / BATCHES))


def _ends(query: StreamingQuery) -> dict[int, int]:
    """How far a running query has come in each partition."""
    progress = query.lastProgress
    ends = json.loads(progress.json)["sources"][0]["endOffset"] if progress else None
    return {int(partition): end for hub in (ends or {}).values() for partition, end in hub.items()}


def _ends_before(spark: SparkSession, layout: Layout, query: str) -> dict[int, int]:
    """How far the query came in an earlier run."""
    try:
        [checkpoint] = replay.read(spark, layout.checkpoint(query))
    except (replay.NotRun, ValueError):
        return {}
    return {partition: ends[-1] for partition, ends in checkpoint.ends.items()}


def read_hub(spark: SparkSession, listener: Listener, run: HubRun, events_a_batch: int) -> DataFrame:
    """The hub as a stream, from the run's first event on, at most so many events a batch."""
    options = hub_runs.source_options(listener, run)
    return spark.readStream.format("kafka").options(**options).option("maxOffsetsPerTrigger", events_a_batch).load()


def parsed(events: DataFrame) -> DataFrame:
    """The body as text and as a struct, with the reason to set it aside, null for a good one."""
    body = F.col("value").cast("string")
    event = F.from_json(body, BODY, {"columnNameOfCorruptRecord": CORRUPT})
    place = (header("lab-record").alias("record"), "partition", "offset", F.col("timestamp").alias("enqueued_time"))
    # Spark pushes filters down through a select, and would parse the body anew for each field that they name, which is
    # four times the work. It pushes none through an explode; this one makes one row of one.
    once_parsed = F.explode(F.array(event)).alias("event")
    return events.select(*place, body.alias("body"), once_parsed).withColumn("reason", _reason())


def _reason() -> Column:
    return (
        F.when(F.json_object_keys("body").isNull(), "not a JSON object")
        .when(F.col("event.id").isNull(), "no id")
        .when(F.col("event.Arrival_Time").isNull(), "no Arrival_Time in milliseconds")
        .when(F.col("event.Creation_Time").isNull(), "no Creation_Time in nanoseconds")
        .when(~F.col("event.Arrival_Time").between(0, _LAST_MILLISECOND), "Arrival_Time is not between 1970 and 9999")
        .when(F.col(f"event.{CORRUPT}").isNotNull(), "a field has another type than the schema")
    )


def flat(parsed_events: DataFrame) -> DataFrame:
    """5. One column a value: times as timestamps that keep every millisecond, the geolocation as four columns.

    A timestamp holds microseconds, so of Creation_Time's nanoseconds the last three digits go; a division by 10^9 and a
    cast would go through a double, which has not enough digits for today's nanoseconds.
    """
    return parsed_events.where("reason IS NULL").select(
        "event.id",
        F.timestamp_millis("event.Arrival_Time").alias("Arrival_Time"),
        F.timestamp_micros(F.expr("event.Creation_Time div 1000")).alias("Creation_Time"),
        *(f"event.{name}" for name in ("Device", "Index", "Model", "User", "gt", "x", "y", "z")),
        *(f"event.geolocation.{name}" for name in ("PostalCode", "StateProvince", "city", "country")),
        "enqueued_time",
        "partition",
        "offset",
    )


def malformed(parsed_events: DataFrame) -> DataFrame:
    """What could not be parsed, with the reason and with its place in the hub."""
    return parsed_events.where("reason IS NOT NULL").select("reason", "body", "enqueued_time", "partition", "offset")


def once(flat_events: DataFrame) -> DataFrame:
    """Each id once. The watermark says how long ids are remembered; what arrives later than it is dropped."""
    return flat_events.withWatermark("Arrival_Time", WATERMARK).dropDuplicatesWithinWatermark(["id"])
