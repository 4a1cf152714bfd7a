"""Exercise 3, points 3 to 6: read the hub, parse and flatten its events, keep each id once, set bad bodies aside.

hub ─▶ own run ─▶ body as text ─▶ from_json ─┬▶ flat ─▶ one row an id ─▶ tables/hub_events
                                             └▶ body and reason ───────▶ tables/hub_events_quarantine
"""

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from streaming_lab.connection import read_options

# 4. The schema of a body. What does not fit it lands in _corrupt_record, whole.
BODY = (
    "Arrival_Time bigint, Creation_Time bigint, Device string, Index bigint, Model string, User string, gt string, "
    "x double, y double, z double, "
    "geolocation struct<PostalCode: string, StateProvince: string, city: string, country: string>, id string, "
    "_corrupt_record string"
)
WATERMARK = "10 minutes"

# 9999-12-31: a time beyond it has no timestamp, and the conversion's error would end the query.
_LAST_MILLISECOND = 253402300799999


def read_hub(spark: SparkSession, connection_string: str, consumer_group: str, events_a_batch: int) -> DataFrame:
    """The hub as a stream, at most so many events a batch."""
    return (
        spark.readStream.format("kafka")
        .options(**read_options(connection_string, consumer_group))
        .option("maxOffsetsPerTrigger", events_a_batch)
        .load()
    )


def header(name: str) -> Column:
    """The text of an event's Kafka header, null where it has none of that name."""
    value = F.get(F.filter("headers", lambda h: h["key"] == name), F.lit(0))["value"]
    return value.cast("string")


def own_run(events: DataFrame, run: str) -> DataFrame:
    """Only what this run's publish sent: a hub keeps what earlier runs sent until its retention ends."""
    return events.where(header("lab-run") == run)


def parsed(events: DataFrame) -> DataFrame:
    """The body as text and as a struct, with the reason to set it aside, null for a good one."""
    body = F.col("value").cast("string")
    event = F.from_json(body, BODY, {"columnNameOfCorruptRecord": "_corrupt_record"})
    return events.select(
        "partition", "offset", F.col("timestamp").alias("enqueued_time"), body.alias("body"), event.alias("event")
    ).withColumn("reason", _reason())


def _reason() -> Column:
    return (
        F.when(F.json_object_keys("body").isNull(), "not a JSON object")
        .when(F.col("event.id").isNull(), "no id")
        .when(F.col("event.Arrival_Time").isNull(), "no Arrival_Time in milliseconds")
        .when(F.col("event.Creation_Time").isNull(), "no Creation_Time in nanoseconds")
        .when(~F.col("event.Arrival_Time").between(0, _LAST_MILLISECOND), "Arrival_Time is not between 1970 and 9999")
        # One such row would move the watermark past every later event, and all of them would be dropped.
        .when(_too_new(), "Arrival_Time is more than a day after the hub received it")
        .when(F.col("event._corrupt_record").isNotNull(), "a field has another type than the schema")
    )


def _too_new() -> Column:
    return F.col("event.Arrival_Time") > F.unix_millis("enqueued_time") + 24 * 3600 * 1000


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
