"""Exercise 3, points 1 and 2: write a stream of events to the hub, with a Send-only key and at a bounded rate."""

import json
import math
from collections.abc import Callable

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.streaming.readwriter import DataStreamWriter

from streaming_lab import files, generator, hub_runs, replay
from streaming_lab.arguments import layout_of, positive_number, task_parser
from streaming_lab.connection import from_secret, write_options
from streaming_lab.hub_runs import HubRun, Listener
from streaming_lab.layout import HUB_TABLES, Layout
from streaming_lab.manifest import read_manifest
from streaming_lab.runtime import run_queries
from streaming_lab.schemas import HUB_LINE
from streaming_lab.session import session

QUERY = "publish"


def main() -> None:
    """The task `publish`."""
    parser = task_parser("publish", "Send events to the hub at a bounded rate.", streaming=True)
    parser.add_argument("--scope", required=True, help="secret scope with the connection strings")
    parser.add_argument("--consumer-group", required=True, help="consumer group to find in the hub what was sent")
    parser.add_argument(
        "--rate", type=positive_number, default=1000, help="events a second (one throughput unit: 1000)"
    )
    arguments = parser.parse_args()
    layout, spark = layout_of(arguments), session()
    send = from_secret(arguments.scope, "event-hubs-send")
    if arguments.continuous:
        publish_live(spark, layout, send, arguments.rate, control=arguments.control)
    else:
        listener = Listener(from_secret(arguments.scope, "event-hubs-listen"), arguments.consumer_group)
        publish(spark, layout, send, listener, arguments.rate, control=arguments.control)


def publish(
    spark: SparkSession, layout: Layout, send: str, listener: Listener, rate: float, *, control: str = ""
) -> None:
    """Send every input file once, a file a trigger, and note where in the hub the events are. `rate` is in events/s.

    Goes on where an earlier try stopped. Exercise 3 begins anew when the hub has lost what was sent, or has more.
    """
    manifest = read_manifest(layout)
    if manifest is None:
        raise SystemExit(f"there is no manifest in {layout.inputs}: run generate first")
    source, folder = manifest.sources["hub_events"], layout.input("hub_events")
    found = [name for name in files.names(folder) if name.startswith("part-")]
    if len(found) != source.files:
        raise SystemExit(f"{folder} has {len(found)} files, the manifest says {source.files}: run generate")
    run = hub_runs.saved_run(layout)
    if run and run.offsets:
        if hub_runs.holds(spark, listener, run):
            print(f"publish: all {source.records:,} events are in the hub already")
            return
        print("publish: the hub has lost the events: its retention is over, or it is another hub. All are sent anew.")
        run = None

    def send_rest(run: HubRun) -> tuple[HubRun, int]:
        if not _sent_before(spark, layout) >= set(found):
            writer = sending(spark, layout, run, send, source.records / source.files / rate)
            ended: Callable[[StreamingQuery], bool] = lambda query: _files_sent(query) == len(found)  # noqa: E731
            run_queries(spark, QUERY, layout, [writer.start], control=control, until=ended)
        return hub_runs.found(spark, listener, run)

    run, records = send_rest(run or _begin(layout))
    if records > source.records:
        more = records - source.records
        print(f"publish: the hub has {more:,} more events with this run's header than were sent. All are sent anew.")
        run, records = send_rest(_begin(layout))
    if records != source.records:
        files.delete(layout.hub_run)
        raise SystemExit(
            f"the hub has {records:,} of this run's {source.records:,} events: run it again, and all are sent anew"
        )
    hub_runs.save_run(layout, run)


def _begin(layout: Layout) -> HubRun:
    """A new run, with nothing left of what was made from an earlier one."""
    # The run's file goes first and comes last, so that after an interruption this is done again.
    files.delete(layout.hub_run)
    for query, table in HUB_TABLES.items():
        files.delete(layout.checkpoint(query))
        files.delete(layout.table(table))
    files.delete(layout.checkpoint(QUERY))
    run = hub_runs.new_run()
    hub_runs.save_run(layout, run)
    return run


def sending(
    spark: SparkSession, layout: Layout, run: HubRun, connection_string: str, seconds: float
) -> DataStreamWriter:
    """The stream from the input files to the hub: one file a trigger, and a trigger every so many seconds."""
    records = spark.readStream.schema(HUB_LINE).option("maxFilesPerTrigger", 1).json(layout.input("hub_events"))
    writer = to_hub(messages(records, run.name), layout, connection_string)
    return writer.trigger(processingTime=f"{math.ceil(1000 * seconds)} milliseconds")


def publish_live(
    spark: SparkSession, layout: Layout, connection_string: str, rate: float, *, control: str = ""
) -> None:
    """Make events and send them, `rate` a second, until stopped.

    Numbers go on from the checkpoint after a pause, so no event is made twice.
    """
    events = generator.hub_events(generator.numbers(spark, math.ceil(rate)), layout.dataset)
    writer = to_hub(messages(events, hub_runs.LIVE.name), layout, connection_string).trigger(processingTime="1 second")
    run_queries(spark, QUERY, layout, [writer.start], control=control, continuous=True)


def to_hub(rows: DataFrame, layout: Layout, connection_string: str) -> DataStreamWriter:
    """The query `publish`: rows of Kafka's columns to the hub."""
    writer = rows.writeStream.queryName(QUERY).format("kafka").options(**write_options(connection_string))
    return writer.option("checkpointLocation", layout.checkpoint(QUERY))


def messages(records: DataFrame, run: str) -> DataFrame:
    """Kafka messages from rows of `record` and `body`: the body as it is, a key, and headers that name the run.

    Spark's Kafka sink sends at least once: after a crash it sends its last batch anew. The header `lab-record` makes
    such copies recognisable, `lab-run` tells this run from earlier ones in the same hub.
    """
    key = F.coalesce(F.get_json_object("body", "$.User"), F.get_json_object("body", "$.Device"))
    headers = F.array(_header("lab-run", F.lit(run)), _header("lab-record", F.col("record").cast("string")))
    return records.select(key.alias("key"), F.col("body").alias("value"), headers.alias("headers"))


def _header(name: str, value: Column) -> Column:
    return F.struct(F.lit(name).alias("key"), value.cast("binary").alias("value"))


def _sent_before(spark: SparkSession, layout: Layout) -> set[str]:
    """The input files that earlier tries have sent."""
    try:
        return set(replay.read(spark, layout.checkpoint(QUERY))[0].files)
    except replay.NotRun:
        return set()


def _files_sent(query: StreamingQuery) -> int:
    """The source's offset counts its steps from 0 on, and each step is one file."""
    progress = query.lastProgress
    return json.loads(progress.json)["sources"][0]["endOffset"]["logOffset"] + 1 if progress else 0
