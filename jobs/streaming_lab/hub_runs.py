"""A run's own events in the hub: which they are, and where.

A hub is shared: earlier runs, the live lab and the notebooks send to the same one, and nobody can delete an event. So
each event says in a header which run sent it, and a run remembers where in the hub its events are. It is read from
there and to there, however much others have sent before and since.
"""

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from py4j.protocol import Py4JJavaError
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from streaming_lab import files
from streaming_lab.connection import read_options
from streaming_lab.layout import Layout

# The hub's clock, which stamps the events, may be behind this machine's by so many milliseconds.
_CLOCKS = 600_000

# How Spark refuses to read partitions that the hub does not have.
_FEWER_PARTITIONS = "don't match what are assigned"


@dataclass(frozen=True)
class Listener:
    """Who reads the hub: the connection string of a Listen-only rule, and the consumer group."""

    connection_string: str = field(repr=False)
    consumer_group: str


@dataclass(frozen=True)
class HubRun:
    """One run's events.

    `name` is in their header `lab-run`. None is older than `since`, in milliseconds since 1970. `offsets` has, for each
    partition that holds any, the first one's offset and the one after the last; it is empty until all have been sent.
    """

    name: str
    since: int = 0
    offsets: dict[int, tuple[int, int]] = field(default_factory=dict)

    def is_read(self, ends: Mapping[int, int]) -> bool:
        """Whether a query that has come so far in each partition has read all of it; never while it has no end."""
        return bool(self.offsets) and all(ends.get(partition, 0) >= end for partition, (_, end) in self.offsets.items())


LIVE = HubRun("live")
"""The live lab's events: all that the hub still has, without an end."""


def new_run() -> HubRun:
    """A run that is about to send its first event."""
    return HubRun(str(uuid.uuid4()), since=int(time.time() * 1000) - _CLOCKS)


def saved_run(layout: Layout) -> HubRun | None:
    """The data set's run, or None where it has not begun to send."""
    value = files.read_json(layout.hub_run)
    if value is None:
        return None
    offsets = {int(partition): (first, end) for partition, (first, end) in value["offsets"].items()}
    return HubRun(value["name"], value["since"], offsets)


def save_run(layout: Layout, run: HubRun) -> None:
    """Make the run the data set's."""
    files.write_json(layout.hub_run, asdict(run))


def header(name: str) -> Column:
    """The text of an event's Kafka header, null where it has none of that name."""
    value = F.get(F.filter("headers", lambda h: h["key"] == name), F.lit(0))["value"]
    return value.cast("string")


def own(events: DataFrame, run: HubRun) -> DataFrame:
    """Only what the run sent."""
    return events.where(header("lab-run") == run.name)


def source_options(listener: Listener, run: HubRun) -> dict[str, str]:
    """Options to read the hub from the run's first event on.

    What the hub's retention took is passed over in silence; the ledger tells that it is missing.
    """
    options = read_options(listener.connection_string, listener.consumer_group) | {"failOnDataLoss": "false"}
    if run.offsets:
        hub = options.pop("subscribe")
        options["assign"] = json.dumps({hub: list(run.offsets)})
        options["startingOffsets"] = _offsets(hub, {partition: first for partition, (first, _) in run.offsets.items()})
    elif run.since:
        # A partition without an event since then is read from its end on.
        options |= {"startingTimestamp": str(run.since), "startingOffsetsByTimestampStrategy": "latest"}
    return options


def as_table(spark: SparkSession, listener: Listener, run: HubRun) -> DataFrame:
    """The run's events that are in the hub now, as a table."""
    # The offset that another hub's next event will get is waited for, and Spark would wait for 2 minutes.
    options = source_options(listener, run) | {"kafkaConsumer.pollTimeoutMs": "10000"}
    if run.offsets:
        [hub] = json.loads(options["assign"])
        options["endingOffsets"] = _offsets(hub, {partition: end for partition, (_, end) in run.offsets.items()})
    return own(spark.read.format("kafka").options(**options).load(), run)


def found(spark: SparkSession, listener: Listener, run: HubRun) -> tuple[HubRun, int]:
    """The run with its offsets as they are in the hub, and how many records it has there; copies count once."""
    events = as_table(spark, listener, run)
    # A rollup also has a row over all partitions.
    rows = (
        events.select("partition", "offset", header("lab-record").alias("record"))
        .rollup("partition")
        .agg(F.min("offset").alias("first"), F.max("offset").alias("last"), F.count_distinct("record").alias("records"))
        .collect()
    )
    offsets = {row["partition"]: (row["first"], row["last"] + 1) for row in rows if row["partition"] is not None}
    return replace(run, offsets=offsets), max((row["records"] for row in rows), default=0)


def holds(spark: SparkSession, listener: Listener, run: HubRun) -> bool:
    """Whether the hub still has all events of a run that was sent.

    Retention takes the oldest event of a partition first, and another hub has none of them.
    """
    first = replace(run, offsets={partition: (first, first + 1) for partition, (first, _) in run.offsets.items()})
    try:
        return as_table(spark, listener, first).count() == len(run.offsets)
    except Py4JJavaError as error:
        if _FEWER_PARTITIONS in str(error):
            return False
        raise


def _offsets(hub: str, offsets: dict[int, int]) -> str:
    return json.dumps({hub: offsets})
