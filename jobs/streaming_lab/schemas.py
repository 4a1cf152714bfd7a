"""The schemas of the lab's three inputs: a stream must know its columns before its first row."""

from __future__ import annotations

from pyspark.sql.types import DoubleType, LongType, StringType, StructField, StructType, TimestampType

CORRUPT = "_corrupt_record"
"""The column in which Spark's JSON reader leaves the text of a row that does not fit the schema."""

ACTIVITIES = ("stand", "sit", "walk", "bike", "stairsup", "stairsdown", "null")
USERS = ("a", "b", "c", "d", "e", "f", "g", "h", "i")
DEVICES = ("nexus4_1", "nexus4_2")
ACTIONS = ("Open", "Close")

ACTIVITY = StructType(
    [
        StructField("Recorded_At", TimestampType()),
        StructField("Device", StringType()),
        StructField("Index", LongType()),
        StructField("Model", StringType()),
        StructField("User", StringType()),
        StructField(CORRUPT, StringType()),
        StructField("gt", StringType()),
        StructField("x", DoubleType()),
        StructField("y", DoubleType()),
        StructField("z", DoubleType()),
    ]
)
"""Exercise 1: one accelerometer sample, in m/s²; `gt` is the activity (the ground truth)."""

EVENT = StructType(
    [
        # Spark reads a whole JSON number as seconds since 1970 where the schema says timestamp.
        StructField("time", TimestampType()),
        StructField("action", StringType()),
        StructField(CORRUPT, StringType()),
    ]
)
"""Exercise 2: something was opened or closed."""

GEOLOCATION = StructType(
    [
        StructField("PostalCode", StringType()),
        StructField("StateProvince", StringType()),
        StructField("city", StringType()),
        StructField("country", StringType()),
    ]
)

HUB_EVENT = StructType(
    [
        StructField("Arrival_Time", LongType()),
        StructField("Creation_Time", LongType()),
        StructField("Device", StringType()),
        StructField("Index", LongType()),
        StructField("Model", StringType()),
        StructField("User", StringType()),
        StructField("gt", StringType()),
        StructField("x", DoubleType()),
        StructField("y", DoubleType()),
        StructField("z", DoubleType()),
        StructField("geolocation", GEOLOCATION),
        StructField("id", StringType()),
    ]
)
"""Exercise 3: the body of one event; `Arrival_Time` in milliseconds, `Creation_Time` in nanoseconds since 1970."""

HUB_LINE = StructType([StructField("record", LongType()), StructField("body", StringType())])
"""One line of the `hub_events` input: the number of the transmission, and the body as it is sent, malformed or not."""
