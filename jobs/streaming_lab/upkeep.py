"""What a stream without an end needs beside it: somebody who throws away what is old.

Each commit of a stream adds small files, and a table that nobody tidies grows for ever. A bounded run keeps everything,
because its ledger counts it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

EVERY = 120.0
"""Seconds between two rounds."""

FILES_KEPT_HOURS = 0.1
"""Delta's removed files stay for six minutes: a query that reads them has ended by then."""

Chore = Callable[[], None]


def keep_latest(spark: SparkSession, path: str, column: str, span: str) -> Chore:
    """Keep the rows of a Delta table whose `column` is within `span` ("10 minutes") of the latest one.

    The files behind the others are deleted from the storage too.
    """

    def chore() -> None:
        spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
        rows = spark.read.format("delta").option("fs.streaming-lab.upkeep", "true").load(path)
        latest = rows.agg(F.max(column).cast("string")).collect()[0][0]
        if latest is not None:
            table = _apart(spark, path)
            table.delete(f"`{column}` < timestamp'{latest}' - INTERVAL {span}")
            table.optimize().executeCompaction()
            table.vacuum(FILES_KEPT_HOURS)

    return chore


def _apart(spark: SparkSession, path: str) -> Any:
    """A `DeltaTable` that shares nothing with the stream that writes the table.

    Delta caches a table's state for each path and set of options. A commit drops the cached state before it, and a
    query that was reading that fails ("Block rdd_… does not exist").
    """
    return spark._jvm.io.delta.tables.DeltaTable.forPath(  # type: ignore[union-attr]
        spark._jsparkSession, path, {"fs.streaming-lab.upkeep": "true"}
    )


class Upkeep(threading.Thread):
    """Does chores every two minutes, from its start to the end of the block."""

    def __init__(self, chores: Sequence[Chore]) -> None:
        super().__init__(name="upkeep", daemon=True)
        self._chores = chores
        self._ended = threading.Event()

    def __enter__(self) -> Upkeep:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        # A stop must not wait for a chore: each of its commits is whole, or is not there.
        self.join(5)

    def run(self) -> None:
        """Do all chores again and again."""
        while self._chores and not self._ended.wait(EVERY):
            for chore in self._chores:
                if not self._ended.is_set():
                    try:
                        chore()
                    except (PySparkException, Py4JJavaError) as error:
                        # The table is not there yet, or another writer was quicker: the next round does it.
                        print(f"upkeep: {str(error).splitlines()[0]}", flush=True)
