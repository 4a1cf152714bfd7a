"""Exercise 3 on a real broker: what is sent, what is stored, what is set aside, and why."""

import json
from datetime import UTC, datetime

from pyspark.sql import functions as F
from streaming_lab import event_hubs, hub_runs, publish, replay
from streaming_lab.connection import write_options
from streaming_lab.hub_runs import HubRun, Listener
from streaming_lab.layout import Layout
from streaming_lab.schemas import HUB_LINE

pytest_plugins = ["tests.jobs.broker"]

GOOD = {
    "Arrival_Time": 1424686735175,
    "Creation_Time": 1424686733176178965,
    "Device": "nexus4_1",
    "Index": 35,
    "Model": "nexus4",
    "User": "g",
    "gt": "stand",
    "x": 0.0014038086,
    "y": 5.0e-4,
    "z": -0.0124053955,
    "geolocation": {"PostalCode": "98101", "StateProvince": "WA", "city": "Seattle", "country": "USA"},
    "id": "event-1",
}


def body(**changes) -> str:
    return json.dumps({name: value for name, value in {**GOOD, **changes}.items() if value is not ...})


def in_hub(spark, bodies):
    """A batch frame with the columns that Spark's Kafka source has."""
    rows = [(0, offset, text, datetime(2026, 1, 1, tzinfo=UTC)) for offset, text in enumerate(bodies)]
    frame = spark.createDataFrame(rows, "partition int, offset long, text string, timestamp timestamp")
    headers = F.array(F.struct(F.lit("lab-record").alias("key"), F.lit("1").cast("binary").alias("value")))
    return frame.select("*", F.col("text").cast("binary").alias("value"), headers.alias("headers"))


def test_a_body_becomes_one_row_with_every_millisecond_and_microsecond(spark):
    row = event_hubs.flat(event_hubs.parsed(in_hub(spark, [body()]))).drop("enqueued_time").collect()[0]
    assert row.asDict() == {
        "id": "event-1",
        "Arrival_Time": row.Arrival_Time,
        "Creation_Time": row.Creation_Time,
        **{name: GOOD[name] for name in ("Device", "Index", "Model", "User", "gt", "x", "y", "z")},
        **GOOD["geolocation"],
        "partition": 0,
        "offset": 0,
    }
    text = event_hubs.flat(event_hubs.parsed(in_hub(spark, [body()]))).select(
        F.unix_millis("Arrival_Time"), F.unix_micros("Creation_Time")
    )
    assert tuple(text.collect()[0]) == (1424686735175, 1424686733176178)


def test_a_body_is_stored_or_set_aside_with_its_reason(spark):
    reasons = {
        body(id="good"): None,
        body(id="some nulls", gt=None, z=...): None,
        body(id="nowhere", geolocation=None): None,
        None: "not a JSON object",
        "": "not a JSON object",
        "hello": "not a JSON object",
        "[1]": "not a JSON object",
        body()[:-20]: "not a JSON object",
        body(id=...): "no id",
        body(Arrival_Time=...): "no Arrival_Time in milliseconds",
        body(Arrival_Time="soon"): "no Arrival_Time in milliseconds",
        body(Creation_Time=...): "no Creation_Time in nanoseconds",
        body(Arrival_Time=-1): "Arrival_Time is not between 1970 and 9999",
        body(Arrival_Time=10**17): "Arrival_Time is not between 1970 and 9999",
        body(x="fast"): "a field has another type than the schema",
        body(geolocation="Seattle"): "a field has another type than the schema",
    }
    parsed = event_hubs.parsed(in_hub(spark, reasons))
    assert [row.id for row in event_hubs.flat(parsed).collect()] == ["good", "some nulls", "nowhere"]
    aside = {row.body: row.reason for row in event_hubs.malformed(parsed).collect()}
    assert aside == {text: reason for text, reason in reasons.items() if reason}


def send(spark, hub, run, bodies):
    """Send bodies in their order, through the exercise's own functions."""
    rows = list(enumerate(bodies))
    records = spark.createDataFrame(rows, HUB_LINE).coalesce(1)
    publish.messages(records, run).write.format("kafka").options(**write_options(hub.send)).save()


def at(second: int, name: str) -> str:
    return body(id=name, Arrival_Time=GOOD["Arrival_Time"] + second * 1000)


def test_each_id_is_stored_once_late_rows_are_dropped_and_the_replay_finds_both(spark, broker, root):
    """The watermark is 10 minutes behind; rows are judged by the watermark of the batch before theirs."""
    hub, layout = broker.hub("exact", partitions=1), Layout(root)
    send(spark, hub, "earlier-run", [at(0, "foreign"), at(0, "foreign-2")])
    send(
        spark,
        hub,
        "run",
        [
            # Batches of four; the first two of batch 0 are the earlier run's.
            *[at(0, "a"), at(1, "b")],
            *[at(3600, "c"), "garbage", at(0, "a"), at(1, "b")],
            *[at(3601, "d"), at(2, "before-its-watermark"), body(id=...), at(3600, "c")],
            *[at(2, "late"), at(3000, "late-by-the-edge"), at(3001, "e"), at(3601, "d")],
        ],
    )
    listener, run = Listener(hub.listen, "lab"), HubRun("run")
    parsed = event_hubs.parsed(hub_runs.own(event_hubs.read_hub(spark, listener, run, 4), run))
    for start in event_hubs.starters(parsed, parsed, layout).values():
        start().awaitTermination()

    stored = spark.read.format("delta").load(layout.table("hub_events"))
    aside = spark.read.format("delta").load(layout.table("hub_events_quarantine"))
    assert sorted(row.id for row in stored.collect()) == ["a", "b", "before-its-watermark", "c", "d", "e"]
    assert sorted((row.reason, row.offset) for row in aside.collect()) == [("no id", 10), ("not a JSON object", 5)]

    rows = event_hubs.flat(event_hubs.parsed(hub_runs.as_table(spark, listener, run)))
    rows = replay.by_offset(rows, *replay.read(spark, layout.checkpoint("event_hubs")))
    late = rows.where(F.col("Arrival_Time") <= F.col(replay.LATE_UNTIL))
    assert sorted((row.id, row[replay.BATCH]) for row in late.collect()) == [("late", 3), ("late-by-the-edge", 3)]
