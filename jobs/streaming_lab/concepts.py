"""Exercise 1, Structured Streaming concepts: JSON files become a Delta table, a small batch at a time."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.errors import AnalysisException, StreamingQueryException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from streaming_lab import files
from streaming_lab.arguments import layout_of, task_parser
from streaming_lab.layout import Layout
from streaming_lab.runtime import run_queries, with_trigger
from streaming_lab.schemas import ACTIVITY, CORRUPT
from streaming_lab.session import session

QUARANTINE_FILES = 1000
"""Bad rows are few: one batch spares them many small commits."""


def main() -> None:
    """The task `concepts`: the exercise's points in the order of the lab's text."""
    parser = task_parser("concepts", "stream activity files into a Delta table", streaming=True)
    arguments = parser.parse_args()
    spark, layout = session(), layout_of(arguments)

    files.require_input(layout.input("activity"))
    explain_streaming_frame(read_activity(spark, layout.input("activity")))
    ended = run_queries(
        spark,
        "concepts",
        layout,
        queries(spark, layout, continuous=arguments.continuous),
        control=arguments.control,
        continuous=arguments.continuous,
        once_started=lambda started: explain_active_streams(spark, started[0]),
    )
    explain_progress(ended[0])
    explain_stopping(spark)


# 1. Stream JSON files: with an explicit schema, and one file in each batch.


def read_activity(spark: SparkSession, path: str, files_per_batch: int = 1) -> DataFrame:
    """The activity files as a stream. A stream has no time to look at all its data first, so it needs the schema."""
    return spark.readStream.schema(ACTIVITY).option("maxFilesPerTrigger", files_per_batch).json(path)


# 2. Transform: rename Index, drop _corrupt_record; what cannot be read goes to the quarantine, it does not vanish.


def problem() -> Column:
    """Why an activity row cannot be used, or null when it can.

    Spark parses only the columns that a query uses: a broken `x` shows where `x` is written, and not in a mere count.
    """
    return F.when(F.col(CORRUPT).isNotNull(), F.lit("not JSON of the activity schema")).when(
        F.col("Index").isNull(), F.lit("Index is missing")
    )


def transform(activity: DataFrame) -> DataFrame:
    """The usable rows, with `Index` as `User_ID` and without `_corrupt_record`."""
    return activity.where(problem().isNull()).withColumnRenamed("Index", "User_ID").drop(CORRUPT)


def quarantine(activity: DataFrame) -> DataFrame:
    """The other rows, as `reason` and `raw`, the text as it was read."""
    rebuilt = F.to_json(F.struct(*[name for name in ACTIVITY.names if name != CORRUPT]))
    return activity.where(problem().isNotNull()).select(
        problem().alias("reason"), F.coalesce(F.col(CORRUPT), rebuilt).alias("raw")
    )


# 3. A streaming frame is not a table: it says so, and a sort needs an end that a stream does not have.


def explain_streaming_frame(stream: DataFrame) -> None:
    """Print what `isStreaming` says, and the error that a sort on the stream gives."""
    print(f"isStreaming: {stream.isStreaming}")
    print(f"A sort on the stream: {sort_error(stream)}")


def sort_error(stream: DataFrame) -> str:
    """The first line of the error with which Spark refuses to run a sort on a stream."""
    try:
        stream.orderBy("Index").writeStream.format("noop").start().stop()
    except AnalysisException as error:
        return str(error).splitlines()[0]
    raise AssertionError("Spark sorted a stream")


# 4. Write in micro-batches: a trigger, a checkpoint, a named query.


def write(rows: DataFrame, name: str, table: str, checkpoint: str, *, continuous: bool) -> StreamingQuery:
    """Start a query that appends a frame's rows to a Delta table, a batch every 3 seconds or all that is there now.

    The checkpoint remembers which files are done, so a query that starts again goes on where it was, each row once.
    """
    writer = rows.writeStream.format("delta").outputMode("append").queryName(name)
    writer = with_trigger(writer.option("checkpointLocation", checkpoint), continuous=continuous)
    return writer.start(table)


def queries(spark: SparkSession, layout: Layout, *, continuous: bool) -> list[Callable[[], StreamingQuery]]:
    """What starts the exercise's two queries, `stream_1p` and `stream_1p_quarantine`."""
    path = layout.input("activity")

    def stream_1p() -> StreamingQuery:
        rows, checkpoint = transform(read_activity(spark, path)), layout.checkpoint("stream_1p")
        return write(rows, "stream_1p", layout.table("activity"), checkpoint, continuous=continuous)

    def stream_1p_quarantine() -> StreamingQuery:
        name = "stream_1p_quarantine"
        rows = quarantine(read_activity(spark, path, files_per_batch=QUARANTINE_FILES))
        table, checkpoint = layout.table("activity_quarantine"), layout.checkpoint(name)
        return write(rows, name, table, checkpoint, continuous=continuous)

    return [stream_1p, stream_1p_quarantine]


# 5. Progress: what a query did, batch by batch.


def explain_progress(query: StreamingQuery) -> None:
    """Print the query's `status`, its `lastProgress`, and the batches of its `recentProgress`."""
    print(f"status of {query.name}: {query.status}")
    last = query.lastProgress
    if last is None:
        print(f"lastProgress of {query.name}: none, there was nothing new")
        return
    print(f"lastProgress of {query.name}: batch {last['batchId']}, {last['numInputRows']:,} rows, {last['durationMs']}")
    batches = [(progress["batchId"], progress["numInputRows"]) for progress in query.recentProgress]
    print(f"recentProgress of {query.name} (batch, rows): {batches}")


# 6. List the active streams, wait a few seconds, stop one, stop all, clean up.


def explain_active_streams(spark: SparkSession, query: StreamingQuery) -> None:
    """Print which streams are active, and whether one of them ends within 5 seconds."""
    print(f"active streams: {active(spark)}")
    try:
        ended = query.awaitTermination(5)
    except StreamingQueryException:
        # Who waits for a query gets its failure; `exception()` tells it to everybody else.
        print(f"awaitTermination(5) of {query.name}: it has failed")
        return
    print(f"awaitTermination(5) of {query.name}: {ended} ({'it has ended' if ended else 'it still runs'})")


def explain_stopping(spark: SparkSession) -> None:
    """Start two streams that only count seconds and keep nothing; stop one, then all that are left of them."""
    ticks = spark.readStream.format("rate").load()
    demonstration = [ticks.writeStream.format("noop").queryName(name).start() for name in ("ticks_1", "ticks_2")]
    print(f"active streams: {active(spark)}")
    demonstration[0].stop()
    print(f"after stopping ticks_1: {active(spark)}")
    for query in demonstration:
        query.stop()
    print(f"after stopping all: {active(spark)}")


def active(spark: SparkSession) -> list[str]:
    """The sorted names of the session's active streams."""
    return sorted(query.name or str(query.id) for query in spark.streams.active)
