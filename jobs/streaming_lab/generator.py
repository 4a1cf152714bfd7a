"""The lab's data, as column expressions over the numbers of the records.

Every value is a function of the seed and of the record's number alone (a hash, never a random generator). So a laptop
and a cluster make the same data, and the manifest can count it with the same expressions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from streaming_lab.schemas import ACTIONS, ACTIVITIES, DEVICES, USERS

START = 1_767_571_200
"""The first record's time, in seconds since 1970: Monday 5 January 2026, 00:00 UTC."""

MALFORMED, LATE, DUPLICATE, UNORDERED = 0.005, 0.02, 0.01, 0.05
"""The fractions of the records. Unordered ones are behind others, but not behind the watermark."""

ACTIVITY_STEP_MS = 5
EVENT_STEP_S = 5
HUB_EVENT_STEP_MS = 2_000
"""The time between two records. Events come closer together at a scale above 1: they last as long as at scale 1, so the
same share of them is too late."""

SAMPLES_IN_A_ROW = 200
"""Samples (one second of them) that one user sends while doing one thing."""

GRAVITY = 9.81
MOTION = {
    # activity: (steps, pedal turns or sways a second, acceleration in m/s²)
    "stand": (0.0, 0.0),
    "sit": (0.0, 0.0),
    "walk": (1.9, 2.5),
    "bike": (1.1, 1.2),
    "stairsup": (1.6, 3.0),
    "stairsdown": (2.1, 3.6),
    "null": (0.3, 0.6),
}

PLACE_FIELDS = ("PostalCode", "StateProvince", "city", "country")
PLACES = (
    ("8000", "Midtjylland", "Aarhus", "Denmark"),
    ("04524", "Seoul", "Seoul", "South Korea"),
    ("48149", "Nordrhein-Westfalen", "Münster", "Germany"),
    ("98052", "Washington", "Redmond", "United States"),
    ("1000-205", "Lisboa", "Lisboa", "Portugal"),
    ("560001", "Karnataka", "Bengaluru", "India"),
    ("00100", "Nairobi", "Nairobi", "Kenya"),
    ("01310-100", "São Paulo", "São Paulo", "Brazil"),
    ("6011", "Wellington", "Wellington", "New Zealand"),
)
"""Where each user's phone is."""


def numbers(spark: SparkSession, a_batch: int) -> DataFrame:
    """A stream of the numbers 0, 1, 2… in a column `record`, so many in each batch.

    Spark's `rate` source would make up for a pause of the stream with one huge batch; this one goes on as before.
    """
    source = spark.readStream.format("rate-micro-batch").option("rowsPerBatch", a_batch).option("numPartitions", 1)
    return source.load().select(F.col("value").alias("record"))


def activity(records: DataFrame, seed: str, _scale: float = 1.0) -> DataFrame:
    """Exercise 1's lines, as `record, kind, body`, from a frame with the numbers in `record`.

    Samples are 5 ms apart at any scale. The times of late records are 6 to 36 hours behind; exercise 1 has no
    watermark, so they are stored like any other.
    """
    number = F.col("record")
    time_ms = F.lit(START * 1000) + number * ACTIVITY_STEP_MS - F.col("behind")
    body = F.to_json(
        F.struct(
            F.date_format(F.timestamp_millis(time_ms), "yyyy-MM-dd'T'HH:mm:ss.SSSXXX").alias("Recorded_At"),
            *_sample(seed, number, ACTIVITY_STEP_MS),
        )
    )
    lines = _with_kind(records, seed, "activity")
    lines = _with_behind(lines, seed, late=(6 * 3_600_000, 36 * 3_600_000), unordered=1_000)
    return _spoilt(lines.withColumn("body", body), seed, field="x")


def events(records: DataFrame, seed: str, scale: float = 1.0) -> DataFrame:
    """Exercise 2's lines, as `record, kind, body`: one event every 5 seconds, so 60,000 of them last 3.5 days.

    Unordered records are up to 90 minutes behind, within the watermark of 2 hours. Late ones are 36 to 72 hours behind:
    the watermark that drops them is as old as the batch before, in which more than a day of events may be.
    """
    number = F.col("record")
    step_s = EVENT_STEP_S / max(1.0, scale)
    time_s = F.lit(START) + ((number + _draw(seed, "second", number)) * step_s).cast("long")
    action = _choice(ACTIONS, _draw(seed, "action", number))
    body = F.to_json(F.struct((time_s - F.col("behind")).alias("time"), action.alias("action")))
    lines = _with_kind(records, seed, "events")
    lines = _with_behind(lines, seed, late=(36 * 3600, 72 * 3600), unordered=90 * 60)
    return _spoilt(lines.withColumn("body", body), seed, field="time")


def hub_events(records: DataFrame, seed: str, scale: float = 1.0) -> DataFrame:
    """Exercise 3's events, as `record, kind, body`: one every 2 seconds, so 20,000 of them last 11 hours.

    A duplicate is a later transmission, up to 51 records on, of an earlier event: same body, same id. Unordered records
    are up to 5 minutes behind, within the deduplication's watermark of 10 minutes; late ones are 4 to 12 hours behind.
    """
    number = F.col("number")
    step_ms = HUB_EVENT_STEP_MS / max(1.0, scale)
    arrival_ms = F.lit(START * 1000) + (number * step_ms).cast("long") - F.col("behind")
    # The phone's own clock, in nanoseconds: 20 to 120 ms before the arrival.
    delay_ns = (_draw(seed, "delay", number) * 100_000_000).cast("long") + 20_000_000
    body = F.to_json(
        F.struct(
            arrival_ms.alias("Arrival_Time"),
            (arrival_ms * 1_000_000 - delay_ns).alias("Creation_Time"),
            *_sample(seed, number, HUB_EVENT_STEP_MS),
            _place(number).alias("geolocation"),
            F.substring(F.sha2(F.concat_ws("/", F.lit(seed), number.cast("string")), 256), 1, 32).alias("id"),
        )
    )
    lines = _with_duplicates(records, seed)
    lines = _with_behind(lines, seed, late=(4 * 3_600_000, 12 * 3_600_000), unordered=5 * 60_000)
    return _spoilt(lines.withColumn("body", body), seed, field="Arrival_Time")


# Each step below adds columns to the frame before it, so that Spark computes a value once that later steps use often.


def _with_kind(records: DataFrame, seed: str, source: str) -> DataFrame:
    """`record, number, kind, content`: what a record is; without duplicates, each has the content of its own number."""
    lines = records.select("record", _draw(seed, f"{source} kind", F.col("record")).alias("draw"))
    kind = _kind(F.col("draw"), duplicate=0)
    return lines.select("record", F.col("record").alias("number"), kind.alias("kind")).withColumn(
        "content", F.col("kind")
    )


def _with_duplicates(records: DataFrame, seed: str) -> DataFrame:
    """`record, number, kind, content`: a duplicate has the content, and its kind, of the earlier record `number`."""
    record, earlier = F.col("record"), F.col("earlier")
    back = (_draw(seed, "earlier", record) * 50).cast("long") + 1
    lines = records.select(
        "record", (record - back).alias("earlier"), _draw(seed, "hub_events kind", record).alias("draw")
    ).withColumn("earlier_draw", _draw(seed, "hub_events kind", earlier))
    lines = lines.select(
        "record",
        "earlier",
        _kind(F.col("draw"), duplicate=DUPLICATE).alias("kind"),
        _kind(F.col("earlier_draw"), duplicate=DUPLICATE).alias("earlier_kind"),
    )
    # Only what was really sent, whole and in time, can be sent twice.
    repeatable = (earlier >= 0) & F.col("earlier_kind").isin("ordinary", "unordered")
    kind = F.when((F.col("kind") == "duplicate") & ~repeatable, "ordinary").otherwise(F.col("kind"))
    lines = lines.withColumn("kind", kind)
    repeats = F.col("kind") == "duplicate"
    return lines.select(
        "record",
        F.when(repeats, earlier).otherwise(record).alias("number"),
        "kind",
        F.when(repeats, F.col("earlier_kind")).otherwise(F.col("kind")).alias("content"),
    )


def _with_behind(lines: DataFrame, seed: str, *, late: tuple[int, int], unordered: int) -> DataFrame:
    """Add `behind`: how far a time is behind its place in the stream, in the unit of `late` and `unordered`."""
    draw = _draw(seed, "behind", F.col("number"))
    behind = (
        F.when(F.col("content") == "late", (draw * (late[1] - late[0])).cast("long") + late[0])
        .when(F.col("content") == "unordered", (draw * unordered).cast("long"))
        .otherwise(F.lit(0).cast("long"))
    )
    return lines.withColumn("behind", behind)


def _spoilt(lines: DataFrame, seed: str, *, field: str) -> DataFrame:
    """`record, kind, body`; malformed bodies are cut off, or have a word where the field's number belongs."""
    number, body = F.col("number"), F.col("body")
    share = 0.3 + 0.5 * _draw(seed, "cut", number)
    cut = F.substring(body, F.lit(1), (F.length(body) * share).cast("int"))
    wrong = F.regexp_replace(body, f'"{field}":[^,]+', f'"{field}":"broken"')
    spoilt = F.when(_draw(seed, "spoil", number) < 0.5, cut).otherwise(wrong)
    return lines.select("record", "kind", F.when(F.col("content") == "malformed", spoilt).otherwise(body).alias("body"))


def _draw(seed: str, purpose: str, number: Column) -> Column:
    """A number from 0 to below 1 that looks random, the same for the same seed, purpose and record."""
    return F.pmod(F.xxhash64(F.lit(seed), F.lit(purpose), number), F.lit(1_000_000)) / 1_000_000


def _choice(values: Sequence[str], draw: Column) -> Column:
    """One of the values, each with the same share of the draws."""
    return F.element_at(F.array(*[F.lit(value) for value in values]), (draw * len(values)).cast("int") + 1)


def _kind(draw: Column, *, duplicate: float) -> Column:
    """What a record is: malformed, late, duplicate, unordered or ordinary."""
    kinds = (("malformed", MALFORMED), ("late", LATE), ("duplicate", duplicate), ("unordered", UNORDERED))
    limit, kind = 0.0, F.when(F.lit(False), "")
    for name, fraction in kinds:
        limit += fraction
        kind = kind.when(draw < round(limit, 6), F.lit(name))
    return kind.otherwise(F.lit("ordinary"))


def _sample(seed: str, number: Column, step_ms: int) -> list[Column]:
    """Who recorded what: device, index, model, user, activity, and the acceleration in m/s²."""
    row = F.floor(number / SAMPLES_IN_A_ROW)
    # 9 users and 7 activities share no divisor: 63 rows meet every user in every activity.
    gt = F.element_at(F.array(*[F.lit(name) for name in ACTIVITIES]), (row % len(ACTIVITIES)).cast("int") + 1)
    user = F.element_at(F.array(*[F.lit(name) for name in USERS]), (row % len(USERS)).cast("int") + 1)
    frequency, strength = (
        F.element_at(
            F.array(*[F.lit(MOTION[name][at]) for name in ACTIVITIES]), (row % len(ACTIVITIES)).cast("int") + 1
        )
        for at in (0, 1)
    )
    angle = number * (2 * math.pi * step_ms / 1000) * frequency

    def axis(name: str, value: Column) -> Column:
        # Six decimals: the last bits of a sine may differ between two processors.
        return F.round(value + (_draw(seed, name, number) - 0.5) * 0.1, 6).alias(name)

    return [
        _choice(DEVICES, _draw(seed, "device", row)).alias("Device"),
        number.alias("Index"),
        F.lit("nexus4").alias("Model"),
        user.alias("User"),
        gt.alias("gt"),
        axis("x", strength * 0.6 * F.sin(angle)),
        axis("y", strength * 0.4 * F.cos(angle)),
        # The body rises and falls once for each step of either foot.
        axis("z", F.lit(GRAVITY) + strength * F.sin(angle * 2)),
    ]


def _place(number: Column) -> Column:
    """The place of the record's user."""
    row = F.floor(number / SAMPLES_IN_A_ROW)
    places = [
        F.struct(*[F.lit(text).alias(name) for text, name in zip(place, PLACE_FIELDS, strict=True)]) for place in PLACES
    ]
    return F.element_at(F.array(*places), (row % len(USERS)).cast("int") + 1)
