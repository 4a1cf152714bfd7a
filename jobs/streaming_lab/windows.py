"""Exercise 2, time windows: count events per hour of their own time, and know when an hour is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from streaming_lab import files, generator, upkeep
from streaming_lab.arguments import duration, layout_of, seconds, task_parser
from streaming_lab.layout import Layout
from streaming_lab.runtime import TRIGGER, run_queries, with_trigger
from streaming_lab.schemas import ACTIONS, CORRUPT, EVENT
from streaming_lab.session import session
from streaming_lab.upkeep import Chore

FILES_PER_BATCH = 8
"""Few enough for three batches: late rows are dropped by the watermark of the batch before, so not in the first two."""

QUARANTINE_FILES = 1000
"""Bad rows are few and need no watermark: one batch spares them many small commits."""

KINDS = ("tumbling", "sliding")

INPUT_KEPT_SECONDS = 1200
"""Live input is read within seconds; a query that was stopped goes on with what is left of it."""

LIVE_EVENTS = 300
"""Live events in each file, so 100 a second: an hour of them passes in about 7 seconds."""


@dataclass(frozen=True)
class Settings:
    """The windows' size, the sliding windows' slide, and how long a window waits for late events."""

    size: str = "1 hour"
    slide: str = "15 minutes"
    watermark: str = "2 hours"


def main() -> None:
    """The task `windows`: tumbling and sliding counts and the quarantine, as three queries."""
    parser = task_parser("windows", "count events in time windows", streaming=True)
    parser.add_argument("--size", type=duration, default=Settings.size, help="length of a window")
    parser.add_argument("--slide", type=duration, default=Settings.slide, help="time between two sliding windows")
    parser.add_argument("--watermark", type=duration, default=Settings.watermark, help="how late an event may be")
    arguments = parser.parse_args()
    if seconds(arguments.slide) > seconds(arguments.size):
        parser.error(f"argument --slide: {arguments.slide} is longer than the windows' size, {arguments.size}")
    spark, layout = session(), layout_of(arguments)

    if layout.dataset != "live":
        files.require_input(layout.input("events"))

    # 3. A shuffle partition for each core; `session` says why.
    print(f"shuffle partitions: {spark.conf.get('spark.sql.shuffle.partitions')}")
    settings = Settings(arguments.size, arguments.slide, arguments.watermark)
    use_settings(layout, settings)
    live = [live_input(spark, layout)] if layout.dataset == "live" and arguments.continuous else []
    starters = [*live, *queries(spark, layout, settings, continuous=arguments.continuous)]
    run_queries(
        spark,
        "windows",
        layout,
        starters,
        control=arguments.control,
        continuous=arguments.continuous,
        chores=chores(spark, layout) if live else (),
    )


def read_events(spark: SparkSession, path: str, files_per_batch: int = FILES_PER_BATCH) -> DataFrame:
    """The event files as a stream."""
    return spark.readStream.schema(EVENT).option("maxFilesPerTrigger", files_per_batch).json(path)


def problem() -> Column:
    """Why an event cannot be counted, or null when it can."""
    return (
        F.when(F.col(CORRUPT).isNotNull(), F.lit("not JSON of the event schema"))
        .when(F.col("time").isNull(), F.lit("time is missing"))
        .when(F.col("action").isNull(), F.lit("action is missing"))
        .when(~F.col("action").isin(*ACTIONS), F.lit(f"action is not {' or '.join(ACTIONS)}"))
    )


def valid(events: DataFrame) -> DataFrame:
    """The events that can be counted, as `time, action`."""
    return events.where(problem().isNull()).drop(CORRUPT)


def quarantine(events: DataFrame) -> DataFrame:
    """The other rows, as `reason` and `raw`, the text as it was read."""
    rebuilt = F.to_json(F.struct(F.unix_timestamp("time").alias("time"), "action"))
    return events.where(problem().isNotNull()).select(
        problem().alias("reason"), F.coalesce(F.col(CORRUPT), rebuilt).alias("raw")
    )


# 1. Tumbling windows: an event is in one of them. 4. The watermark says how long a window stays open.


def tumbling(events: DataFrame, size: str, watermark: str) -> DataFrame:
    """Events per action in windows that follow each other: `start, end, action, count`."""
    return _counts(events.withWatermark("time", watermark), F.window("time", size))


# 2. Sliding windows: they overlap, and an event is in size / slide of them.


def sliding(events: DataFrame, size: str, slide: str, watermark: str) -> DataFrame:
    """Events per action in windows of one size that begin every `slide`: `start, end, action, count`."""
    return _counts(events.withWatermark("time", watermark), F.window("time", size, slide))


def _counts(events: DataFrame, window: Column) -> DataFrame:
    counts = events.groupBy(window.alias("window"), "action").count()
    return counts.select("window.start", "window.end", "action", "count")


# 4. Append mode: a window is written once, when the watermark has passed its end; then its state is forgotten, and rows
# that come for it are dropped. A sort would force complete mode, which never forgets and never drops: sort on reading.


def write(rows: DataFrame, name: str, layout: Layout, *, continuous: bool) -> StreamingQuery:
    """Start the query that appends a frame's rows to the Delta table of its name."""
    writer = rows.writeStream.format("delta").outputMode("append").queryName(name)
    writer = writer.option("checkpointLocation", layout.checkpoint(name))
    return with_trigger(writer, continuous=continuous).start(layout.table(name))


def outputs(to_count: DataFrame, to_quarantine: DataFrame, settings: Settings) -> dict[str, DataFrame]:
    """The exercise's three tables by name. Both frames are the same events; as streams their batches may differ."""
    events = valid(to_count)
    return {
        "windows_tumbling": tumbling(events, settings.size, settings.watermark),
        "windows_sliding": sliding(events, settings.size, settings.slide, settings.watermark),
        "windows_quarantine": quarantine(to_quarantine),
    }


def queries(
    spark: SparkSession, layout: Layout, settings: Settings, *, continuous: bool
) -> list[Callable[[], StreamingQuery]]:
    """What starts the exercise's three queries; each reads the files by itself, at its own pace."""
    path = layout.input("events")
    frames = outputs(read_events(spark, path), read_events(spark, path, QUARANTINE_FILES), settings)

    def starter(name: str, frame: DataFrame) -> Callable[[], StreamingQuery]:
        return lambda: write(frame, name, layout, continuous=continuous)

    return [starter(name, frame) for name, frame in frames.items()]


def read_settings(layout: Layout) -> Settings:
    """The settings that the data set's window tables were made with; the default ones before there are any."""
    value = files.read_json(layout.window_settings)
    return Settings(**value) if value else Settings()


def use_settings(layout: Layout, settings: Settings) -> None:
    """Make the settings those of the data set. Other ones than before begin anew: state cannot change its windows."""
    if files.read_json(layout.window_settings) != asdict(settings):
        # The file goes first and comes last: after an interruption, any settings begin anew.
        files.delete(layout.window_settings)
        for name in ("windows_tumbling", "windows_sliding"):
            files.delete(layout.checkpoint(name))
            files.delete(layout.table(name))
        files.write_json(layout.window_settings, asdict(settings))


# 5. Live: events to watch, as files that appear while the queries run.


def chores(spark: SparkSession, layout: Layout) -> list[Chore]:
    """What keeps the live lab small: an hour of events takes seconds, and a day of them is a few rows of counts."""
    counts = [upkeep.keep_latest(spark, layout.table(f"windows_{kind}"), "end", "7 days") for kind in KINDS]
    return [*counts, lambda: files.delete_older(layout.input("events"), INPUT_KEPT_SECONDS)]


def live_input(spark: SparkSession, layout: Layout) -> Callable[[], StreamingQuery]:
    """What starts the query `live_input`, which writes a file of generated events every 3 seconds."""
    folder = layout.input("events")
    files.make_folder(folder)
    lines = generator.events(generator.numbers(spark, LIVE_EVENTS), layout.dataset).select("body")

    def start() -> StreamingQuery:
        writer = lines.coalesce(1).writeStream.format("text").queryName("live_input")
        return (
            writer.option("checkpointLocation", layout.checkpoint("live_input"))
            # The sink's own log names each file, for ever if not told otherwise.
            .option("retention", f"{INPUT_KEPT_SECONDS // 2}s")
            .trigger(processingTime=TRIGGER)
            .start(folder)
        )

    return start
