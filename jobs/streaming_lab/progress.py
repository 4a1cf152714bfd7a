"""How far a task's queries are, as the report that the `lab` command shows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pyspark.sql.streaming.query import StreamingQuery

NO_WATERMARK = "1970-01-01T00:00:00.000Z"


class Progress:
    """The progress of a task's queries since it started; rows of a batch are counted once."""

    def __init__(self, task: str, dataset: str, spark_ui: str | None) -> None:
        self._task = task
        self._dataset = dataset
        self._spark_ui = spark_ui
        self._batches: dict[str, dict[int, tuple[int, int]]] = {}

    def report(self, queries: Sequence[StreamingQuery], *, active: bool) -> dict[str, Any]:
        """One report: the task, and for each query its batch, rows, speed, watermark, dropped groups and message.

        `dropped` is Spark's own count of what came too late, over all batches: of groups, after the rows of a batch
        were summed up, and not of input rows.
        """
        return {
            "task": self._task,
            "dataset": self._dataset,
            "updated_at": datetime.now(UTC).isoformat(),
            "spark_ui": self._spark_ui,
            "active": active,
            "queries": [self._query(query) for query in queries],
        }

    def _query(self, query: StreamingQuery) -> dict[str, Any]:
        batches = self._batches.setdefault(str(query.id), {})
        last = query.lastProgress
        skipped = last is not None and not {last["batchId"], last["batchId"] - 1} & batches.keys()
        for progress in query.recentProgress if skipped else [last] if last else []:
            dropped = sum(state["numRowsDroppedByWatermark"] for state in progress["stateOperators"])
            # A trigger without new data repeats the number of the batch before it, with no rows.
            counts = (progress["numInputRows"], dropped)
            batches[progress["batchId"]] = max(counts, batches.get(progress["batchId"], counts))
        watermark = last["eventTime"].get("watermark") if last else None
        return {
            "name": query.name,
            "id": str(query.id),
            "active": query.isActive,
            "batch": last["batchId"] if last else -1,
            "input_rows": sum(rows for rows, _ in batches.values()),
            "rows_per_second": round(last["processedRowsPerSecond"], 1) if last else 0.0,
            "watermark": None if watermark == NO_WATERMARK else watermark,
            "dropped": sum(dropped for _, dropped in batches.values()),
            "message": query.status["message"],
        }


def line(report: dict[str, Any]) -> str:
    """One report as a line of a log."""
    parts = [
        f"{query['name']}: batch {query['batch']}, {query['input_rows']:,} rows, {query['rows_per_second']:,.0f} rows/s"
        + (f", watermark {query['watermark']}" if query["watermark"] else "")
        + (f", {query['dropped']:,} late groups dropped" if query["dropped"] else "")
        for query in report["queries"]
    ]
    return " | ".join(parts)
