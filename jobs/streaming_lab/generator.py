"""The lab's data, as column expressions over the numbers of the records.

Every value is a function of the seed and of the record's number alone (a hash, never a random generator). So a laptop
and a cluster make the same data, and the manifest can count it with the same expressions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from streaming_lab.schemas import ACTIONS, ACTIVITIES, DEVICES, USERS

START = 1_767_571_200
"""The first record's time, in seconds since 1970: Monday 5 January 2026, 00:00 UTC."""

MALFORMED, LATE, DUPLICATE, UNORDERED = 0.005, 0.02, 0.01, 0.05
"""The fractions of the records. Unordered ones are behind others, but not behind the watermark."""

ACTIVITY_STEP_MS = 5
EVENT_STEP_S = 5
HUB_EVENT_STEP_MS = 2_000

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


def activity(records: DataFrame, seed: str) -> DataFrame:
    """Exercise 1's lines, as `record, kind, body`, from a frame with the numbers in `record`.

    The times of late records are 6 to 36 hours behind; exercise 1 has no watermark, so they are stored like any other.
    """
    number = F.col("record")
    kind = _kind(seed, "activity", number)
    behind_ms = _behind(seed, "activity", number, kind, late=(6 * 3_600_000, 36 * 3_600_000), unordered=1_000)
    time_ms = F.lit(START * 1000) + number * ACTIVITY_STEP_MS - behind_ms
    body = F.to_json(
        F.struct(
            F.date_format(F.timestamp_millis(time_ms), "yyyy-MM-dd'T'HH:mm:ss.SSSXXX").alias("Recorded_At"),
            *_sample(seed, number, ACTIVITY_STEP_MS),
        )
    )
    return records.select("record", kind.alias("kind"), _spoilt(seed, number, kind, body, field="x").alias("body"))


def events(records: DataFrame, seed: str) -> DataFrame:
    """Exercise 2's lines, as `record, kind, body`: one event every 5 seconds, so 60,000 of them last 3.5 days.

    Unordered records are up to 90 minutes behind, within the watermark of 2 hours. Late ones are 6 to 36 hours behind:
    the watermark that drops them is as old as the batch before, in which hours of events may be.
    """
    number = F.col("record")
    kind = _kind(seed, "events", number)
    behind_s = _behind(seed, "events", number, kind, late=(6 * 3600, 36 * 3600), unordered=90 * 60)
    time_s = F.lit(START) + number * EVENT_STEP_S + (_draw(seed, "second", number) * EVENT_STEP_S).cast("long")
    body = F.to_json(
        F.struct((time_s - behind_s).alias("time"), _choice(ACTIONS, _draw(seed, "action", number)).alias("action"))
    )
    return records.select("record", kind.alias("kind"), _spoilt(seed, number, kind, body, field="time").alias("body"))


def hub_events(records: DataFrame, seed: str) -> DataFrame:
    """Exercise 3's events, as `record, kind, body`: one every 2 seconds, so 20,000 of them last 11 hours.

    A duplicate is a later transmission, up to 50 records on, of an earlier event: same body, same id. Unordered records
    are up to 5 minutes behind, within the deduplication's watermark of 10 minutes; late ones are 4 to 12 hours behind.
    """
    record = F.col("record")
    first_kind = _kind(seed, "hub_events", record, duplicate=DUPLICATE)
    earlier = record - 1 - (_draw(seed, "earlier", record) * 50).cast("long")
    earlier_kind = _kind(seed, "hub_events", earlier, duplicate=DUPLICATE)
    # Only what was really sent, whole and in time, can be sent twice.
    repeats = (first_kind == "duplicate") & (earlier >= 0) & earlier_kind.isin("ordinary", "unordered")
    number = F.when(repeats, earlier).otherwise(record)
    kind = F.when(repeats, F.lit("duplicate")).when(first_kind == "duplicate", F.lit("ordinary")).otherwise(first_kind)
    sent_kind = F.when(repeats, earlier_kind).otherwise(kind)

    late = (4 * 3_600_000, 12 * 3_600_000)
    behind_ms = _behind(seed, "hub_events", number, sent_kind, late=late, unordered=5 * 60_000)
    arrival_ms = F.lit(START * 1000) + number * HUB_EVENT_STEP_MS - behind_ms
    # The phone's own clock, in nanoseconds: 20 to 120 ms before the arrival.
    creation_ns = arrival_ms * 1_000_000 - (_draw(seed, "delay", number) * 100_000_000).cast("long") - 20_000_000
    body = F.to_json(
        F.struct(
            arrival_ms.alias("Arrival_Time"),
            creation_ns.alias("Creation_Time"),
            *_sample(seed, number, HUB_EVENT_STEP_MS),
            _place(number).alias("geolocation"),
            F.substring(F.sha2(F.concat_ws("/", F.lit(seed), number.cast("string")), 256), 1, 32).alias("id"),
        )
    )
    spoilt = _spoilt(seed, number, sent_kind, body, field="Arrival_Time")
    return records.select("record", kind.alias("kind"), spoilt.alias("body"))


def _draw(seed: str, purpose: str, number: Column) -> Column:
    """A number from 0 to below 1 that looks random, the same for the same seed, purpose and record."""
    return F.pmod(F.xxhash64(F.lit(seed), F.lit(purpose), number), F.lit(1_000_000)) / 1_000_000


def _choice(values: Sequence[str], draw: Column) -> Column:
    """One of the values, each with the same share of the draws."""
    return F.element_at(F.array(*[F.lit(value) for value in values]), (draw * len(values)).cast("int") + 1)


def _kind(seed: str, source: str, number: Column, duplicate: float = 0.0) -> Column:
    """What a record is: malformed, late, duplicate, unordered or ordinary."""
    draw = _draw(seed, f"{source} kind", number)
    kinds = (("malformed", MALFORMED), ("late", LATE), ("duplicate", duplicate), ("unordered", UNORDERED))
    limit, kind = 0.0, F.when(F.lit(False), "")
    for name, fraction in kinds:
        limit += fraction
        kind = kind.when(draw < round(limit, 6), F.lit(name))
    return kind.otherwise(F.lit("ordinary"))


def _behind(seed: str, source: str, number: Column, kind: Column, *, late: tuple[int, int], unordered: int) -> Column:
    """How far a record's time is behind its place in the stream, in the unit of `late` and `unordered`."""
    draw = _draw(seed, f"{source} behind", number)
    return (
        F.when(kind == "late", (draw * (late[1] - late[0])).cast("long") + late[0])
        .when(kind == "unordered", (draw * unordered).cast("long"))
        .otherwise(F.lit(0).cast("long"))
    )


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


def _spoilt(seed: str, number: Column, kind: Column, body: Column, *, field: str) -> Column:
    """The body, or for a malformed record what is left of it: cut off, or with a word where a number belongs."""
    share = 0.3 + 0.5 * _draw(seed, "cut", number)
    cut = F.substring(body, F.lit(1), (F.length(body) * share).cast("int"))
    wrong = F.regexp_replace(body, f'"{field}":[^,]+', f'"{field}":"broken"')
    spoilt = F.when(_draw(seed, "spoil", number) < 0.5, cut).otherwise(wrong)
    return F.when(kind == "malformed", spoilt).otherwise(body)
