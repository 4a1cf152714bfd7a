"""The ledgers of the three exercises: which term of each is measured where."""

from datetime import UTC, datetime
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from streaming_lab import concepts, event_hubs, hub_runs, replay, windows
from streaming_lab.hub_runs import Listener
from streaming_lab.layout import Layout
from streaming_lab.ledger import CannotMeasure, Ledger, check_input, checkpoints, compare, count, some, table
from streaming_lab.manifest import Manifest
from streaming_lab.replay import BATCH, LATE_UNTIL, Checkpoint
from streaming_lab.schemas import ACTIVITY, EVENT

Counts = dict[tuple[int, int, str], int]
"""The counts of windows by start, end (seconds since 1970) and action."""


def concepts_ledger(spark: SparkSession, layout: Layout, manifest: Manifest) -> Ledger:
    """Exercise 1 has no watermark and no state: a row is stored or it is quarantined."""
    source = manifest.sources["activity"]
    ledger = Ledger("concepts", sent=source.records)
    folder = layout.input("activity")
    with ledger.measuring(f"{folder}, or the checkpoints"):
        read = checkpoints(spark, layout, "stream_1p", "stream_1p_quarantine")
        check_input(ledger, spark, folder, source, read)
    with ledger.measuring("table activity"):
        expected = concepts.transform(spark.read.schema(ACTIVITY).json(folder))
        ledger.stored = _stored(ledger, spark, layout, "activity", expected)
    with ledger.measuring("table activity_quarantine"):
        expected = concepts.quarantine(spark.read.schema(ACTIVITY).json(folder))
        ledger.quarantined = _stored(ledger, spark, layout, "activity_quarantine", expected)
    return ledger.close()


def windows_ledger(spark: SparkSession, layout: Layout, manifest: Manifest) -> Ledger:
    """Exercise 2: rows are stored as the counts of the tumbling windows, open as those that are still in state.

    The sliding windows hold each row several times, so they are no term; like the tumbling ones they are compared with
    the windows of a batch job, which leaves out the rows that the query's checkpoint says were late.
    """
    source = manifest.sources["events"]
    ledger = Ledger("windows", sent=source.records)
    settings = windows.read_settings(layout)
    folder = layout.input("events")
    with ledger.measuring("table windows_quarantine"):
        expected = windows.quarantine(spark.read.schema(EVENT).json(folder))
        ledger.quarantined = _stored(ledger, spark, layout, "windows_quarantine", expected)
    with ledger.measuring(f"{folder}, or the checkpoints"):
        read = checkpoints(spark, layout, "windows_tumbling", "windows_sliding", "windows_quarantine")
        check_input(ledger, spark, folder, source, read)
        with ledger.measuring("windows_tumbling"):
            window = F.window("time", settings.size)
            found = _windows(ledger, spark, layout, window, read[0])
            ledger.stored, ledger.open, ledger.late = found
        with ledger.measuring("windows_sliding"):
            window = F.window("time", settings.size, settings.slide)
            _windows(ledger, spark, layout, window, read[1])
    return ledger.close()


def event_hubs_ledger(
    spark: SparkSession,
    layout: Layout,
    manifest: Manifest,
    listener: Listener,
    *,
    earlier: dict[str, Any] | None = None,
) -> Ledger:
    """Exercise 3: what was sent is counted in the hub too, because Kafka's sink sends a batch twice after a crash.

    The hub forgets its events after a day, and another hub has none of them. Then the terms that only it can tell
    (sent, duplicates, late) are those of the `earlier` ledger of the same data, if there is one, and the rows of the
    tables are counted, with nothing to compare them with.
    """
    source = manifest.sources["hub_events"]
    ledger = Ledger("event_hubs", sent=source.records, whole=False)
    folder = layout.input("hub_events")
    with ledger.measuring(f"{folder}, or the checkpoint of publish"):
        check_input(ledger, spark, folder, source, checkpoints(spark, layout, "publish"))
    with ledger.measuring("the hub"):
        run = hub_runs.saved_run(layout)
        if run is None:
            raise CannotMeasure("nothing was sent to the hub: the exercise has not been run")
        parsed = event_hubs.parsed(hub_runs.as_table(spark, listener, run)).cache()
        found = parsed.agg(F.count("*").alias("rows"), F.count_distinct("record").alias("records")).collect()[0]
        ledger.whole = found["records"] == source.records
        if ledger.whole:
            ledger.sent = found["rows"]
            _replay_hub(ledger, spark, layout, parsed)
        elif found["records"] < source.records and earlier and _is_sound(earlier):
            ledger.whole = True
            ledger.sent, ledger.duplicates, ledger.late = (earlier[term] for term in ("sent", "duplicates", "late"))
            ledger.notes.append("the hub has lost the events; sent, duplicates and late are from before")
            with ledger.measuring("table hub_events"):
                ledger.stored = count(table(spark, layout.table("hub_events")))
            with ledger.measuring("table hub_events_quarantine"):
                ledger.quarantined = count(table(spark, layout.table("hub_events_quarantine")))
        else:
            ledger.problem(_other_events(found["records"], source.records))
            _replay_hub(ledger, spark, layout, parsed)
        parsed.unpersist()
    return ledger.close()


def _is_sound(earlier: dict[str, Any]) -> bool:
    """Whether a saved ledger was measured on a whole hub and had no problem."""
    return bool(earlier.get("whole", True)) and not earlier.get("problems")


def _other_events(records: int, sent: int) -> str:
    """The problem of a hub that does not have exactly the events that were sent."""
    if records > sent:
        return (
            f"the hub has {records:,} events of this run, but {sent:,} were sent: another program sent some with the "
            "Send key and this run's header; run the exercise again, which sends all events anew"
        )
    return (
        f"the hub has {records:,} of {sent:,} events: publish has not been run to its end, "
        "or the hub's retention is over, or it is another hub; run the exercise again"
    )


def _replay_hub(ledger: Ledger, spark: SparkSession, layout: Layout, parsed: DataFrame) -> None:
    with ledger.measuring("the checkpoints of event_hubs"):
        read, aside = checkpoints(spark, layout, "event_hubs", "event_hubs_quarantine")
        unread = replay.batch_of_offset(read).isNull() | replay.batch_of_offset(aside).isNull()
        ledger.unread(parsed.where(unread).count())
        rows = replay.by_offset(event_hubs.flat(parsed), read)
        late, in_time = F.col("Arrival_Time") <= F.col(LATE_UNTIL), F.col("Arrival_Time") > F.col(LATE_UNTIL)
        found = rows.agg(F.count_if(late).alias("late"), F.count_if(in_time).alias("in_time")).collect()[0]
        ledger.late = found["late"]
        # Every copy of an id has the same body, but any of them may be the one that was stored.
        once = rows.where(in_time).dropDuplicates(["id"])
        once = once.drop("enqueued_time", "partition", "offset", BATCH, LATE_UNTIL)
        ledger.duplicates = found["in_time"] - once.count()
        with ledger.measuring("table hub_events"):
            ledger.stored = _stored(ledger, spark, layout, "hub_events", once)
        with ledger.measuring("table hub_events_quarantine"):
            malformed = event_hubs.malformed(parsed.where(replay.batch_of_offset(aside).isNotNull()))
            ledger.quarantined = _stored(ledger, spark, layout, "hub_events_quarantine", malformed)


def _stored(ledger: Ledger, spark: SparkSession, layout: Layout, name: str, expected: DataFrame) -> int:
    """The number of rows in a table; a problem when they are not the rows that a batch job expects."""
    found = compare(expected, table(spark, layout.table(name)))
    if found.foreign or found.missing:
        differences = f"rows missing: {found.missing:,}, rows that should not be there: {found.foreign:,}"
        ledger.problem(f"table {name} differs from a batch over its source: {differences}")
    return found.stored


def _windows(
    ledger: Ledger, spark: SparkSession, layout: Layout, window: Column, read: Checkpoint
) -> tuple[int, int, int]:
    """Compare a window table, and what is open in its query's state, with a batch; the rows stored, open and late."""
    name = read.path.rsplit("/", 1)[-1]
    stored = _counts(table(spark, layout.table(name)).select(*_key("start", "end"), "count"))
    events = spark.read.schema(EVENT).json(layout.input("events")).withColumn("file", F.col("_metadata.file_name"))
    rows = replay.by_file(windows.valid(events), read, "file").where(F.col(BATCH).isNotNull())
    late = F.col("window.end") <= F.col(LATE_UNTIL)
    groups = (
        rows.select(window.alias("window"), "action", LATE_UNTIL)
        .groupBy("window", "action")
        .agg(F.count_if(~late).alias("in_time"), F.count_if(late).alias("late"))
        .select(*_key("window.start", "window.end"), "in_time", "late")
        .collect()
    )
    # Spark registers the endpoint that the state store asks for when a session first uses its streams.
    _ = spark.streams.active
    state = spark.read.format("statestore").load(read.path).select("key.*", "value.*")
    still_open = _counts(state.select(*_key("window.start", "window.end"), "count"))
    # A window is written, and its state forgotten, once the watermark has reached its end.
    in_time = {(row["start"], row["end"], row["action"]): row["in_time"] for row in groups if row["in_time"]}
    closed = {key: count for key, count in in_time.items() if key[1] * 1000 <= read.watermark}
    _compare_windows(ledger, f"table {name}", stored, closed)
    _compare_windows(ledger, f"the state of {name}", still_open, {k: n for k, n in in_time.items() if k not in closed})
    return sum(stored.values()), sum(still_open.values()), sum(row["late"] for row in groups)


def _key(start: str, end: str) -> list[Column]:
    return [F.unix_seconds(start).alias("start"), F.unix_seconds(end).alias("end"), F.col("action")]


def _counts(rows: DataFrame) -> Counts:
    counts: Counts = {}
    for row in rows.collect():
        key = (row["start"], row["end"], row["action"])
        counts[key] = counts.get(key, 0) + row["count"]
    return counts


def _compare_windows(ledger: Ledger, where: str, found: Counts, expected: Counts) -> None:
    differences = [
        f"{action} in the window of {datetime.fromtimestamp(start, UTC):%Y-%m-%d %H:%M} UTC is "
        f"{found.get((start, end, action), 0):,} instead of {expected.get((start, end, action), 0):,}"
        for start, end, action in sorted(found.keys() | expected.keys())
        if found.get((start, end, action)) != expected.get((start, end, action))
    ]
    if differences:
        ledger.problem(f"{where} differs from a batch over the same rows: {'; '.join(some(differences))}")
