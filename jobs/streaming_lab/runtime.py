"""Run the queries of a task until they end or somebody stops them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.streaming.readwriter import DataStreamWriter

from streaming_lab.control import ControlFolder
from streaming_lab.layout import Layout
from streaming_lab.progress import Progress, line
from streaming_lab.upkeep import Chore, Upkeep

TRIGGER = "3 seconds"
"""How often a continuous query looks for new data."""

REPORT_EVERY = 2.0
"""Seconds between two reports, and between two looks for a stop request."""

LOOK_EVERY = 0.1
"""Seconds between two looks at the queries."""

Until = Callable[[StreamingQuery], bool]

ALL_BATCHES = 1_000_000
"""As many batches as a checkpoint can be asked to keep, for those of bounded queries."""


class QueryFailed(RuntimeError):
    """A query of the task failed; the message is one sentence with the query's name and Spark's reason."""


def with_trigger(writer: DataStreamWriter, *, continuous: bool) -> DataStreamWriter:
    """Bounded: all that is there now, in batches of the source's limits. Continuous: a batch every 3 seconds."""
    return writer.trigger(processingTime=TRIGGER) if continuous else writer.trigger(availableNow=True)


def run_queries(
    spark: SparkSession,
    task: str,
    layout: Layout,
    starters: Sequence[Callable[[], StreamingQuery]],
    *,
    control: str = "",
    continuous: bool = False,
    until: Until | None = None,
    once_started: Callable[[list[StreamingQuery]], None] | None = None,
    chores: Sequence[Chore] = (),
) -> list[StreamingQuery]:
    """Start queries and wait for their end; print progress, and share it in the `control` folder when there is one.

    Each starter starts one named query. A query ends by itself (`availableNow`), by a stop request in the control
    folder, or when `until`, asked about ten times a second, says that the query's work is done. It ends after the batch
    that it is in. Whatever ends the task in another way (a failed query, a cancelled run) stops all its queries.
    `once_started` is called with the queries when all of them run. `chores` are done beside a continuous task.

    Returns the ended queries. Raises QueryFailed when one failed, SystemExit when a bounded task was stopped on
    request.
    """
    if not continuous:
        # The ledger replays a bounded query from its first batch on, and Spark forgets all but the last 100.
        spark.conf.set("spark.sql.streaming.minBatchesToRetain", ALL_BATCHES)
    queries: list[StreamingQuery] = []
    try:
        queries.extend(starter() for starter in starters)
        with _Reporter(spark, task, layout, control, queries) as reporter, Upkeep(chores if continuous else ()):
            if once_started is not None:
                once_started(queries)
            stopped = _watch(queries, reporter, until)
    finally:
        for query in queries:
            query.stop()
    if stopped and not continuous:
        raise SystemExit(f"stopped on request: {', '.join(sorted(stopped))}; run it again to go on")
    return queries


def _watch(queries: list[StreamingQuery], reporter: _Reporter, until: Until | None) -> set[str]:
    """Wait until no query is active; the names of those that were stopped on request."""
    requested: set[str] = set()
    stopped: list[StreamingQuery] = []
    batches: dict[str, int] = {}
    while True:
        active = [query for query in queries if query.isActive]
        # A query that was stopped here may say that it was interrupted: that is no failure.
        _raise_failure([query for query in queries if query not in stopped])
        if not active:
            return requested
        for query in active:
            if query.name in reporter.requested or (until is not None and until(query)):
                batch = batches.setdefault(query.name, _batch(query))
                if not query.status["isTriggerActive"] or _batch(query) > batch:
                    stopped.append(query)
                    query.stop()
                    requested |= reporter.requested & {query.name}
        time.sleep(LOOK_EVERY)


def _batch(query: StreamingQuery) -> int:
    """The number of the last finished batch, -1 before there is one."""
    progress = query.lastProgress
    return int(progress["batchId"]) if progress else -1


def _raise_failure(queries: Sequence[StreamingQuery]) -> None:
    for query in queries:
        failure = query.exception()
        if failure is not None:
            raise QueryFailed(f"Query {query.name} failed: {_reason(str(failure))}") from failure


def _reason(message: str) -> str:
    """The sentence of a streaming failure that says why: Spark puts it on the first line, after the query's ids."""
    first_line = message.strip().partition("\n")[0]
    return first_line.rpartition("terminated with exception: ")[2]


class _Reporter(threading.Thread):
    """Reports every 2 seconds from a thread of its own, so that a slow workspace never holds up the queries."""

    def __init__(
        self, spark: SparkSession, task: str, layout: Layout, control: str, queries: Sequence[StreamingQuery]
    ) -> None:
        super().__init__(name=f"progress of {task}", daemon=True)
        self.requested: set[str] = set()
        self._queries = queries
        self._progress = Progress(task, layout.dataset, spark.sparkContext.uiWebUrl)
        self._folder = ControlFolder(control, task, layout.dataset) if control else None
        self._ended = threading.Event()
        self._printed = ""

    def __enter__(self) -> _Reporter:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()
        self._report(active=False)

    def run(self) -> None:
        """Look for stop requests and report, until the task ends."""
        if self._folder:
            self._folder.prepare()
        while not self._ended.is_set():
            if self._folder:
                self.requested = self._folder.requested_stops(query.name for query in self._queries)
            self._report(active=True)
            self._ended.wait(REPORT_EVERY)

    def _report(self, *, active: bool) -> None:
        report = self._progress.report(self._queries, active=active)
        if (text := line(report)) != self._printed:
            print(text, flush=True)
            self._printed = text
        if self._folder:
            self._folder.publish(report)
