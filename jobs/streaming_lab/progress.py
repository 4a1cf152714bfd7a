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
        self._rows: dict[str, dict[int, int]] = {}

    def report(self, queries: Sequence[StreamingQuery], *, active: bool) -> dict[str, Any]:
        """One report: the task, and for each query its batch, input rows, rows per second, watermark and message."""
        return {
            "task": self._task,
            "dataset": self._dataset,
            "updated_at": datetime.now(UTC).isoformat(),
            "spark_ui": self._spark_ui,
            "active": active,
            "queries": [self._query(query) for query in queries],
        }

    def _query(self, query: StreamingQuery) -> dict[str, Any]:
        rows = self._rows.setdefault(str(query.id), {})
        recent = query.recentProgress
        for progress in recent:
            # A trigger without new data repeats the number of the batch before it, with no rows.
            rows[progress["batchId"]] = max(progress["numInputRows"], rows.get(progress["batchId"], 0))
        last = recent[-1] if recent else None
        watermark = last["eventTime"].get("watermark") if last else None
        return {
            "name": query.name,
            "id": str(query.id),
            "active": query.isActive,
            "batch": last["batchId"] if last else -1,
            "input_rows": sum(rows.values()),
            "rows_per_second": round(last["processedRowsPerSecond"], 1) if last else 0.0,
            "watermark": None if watermark == NO_WATERMARK else watermark,
            "message": query.status["message"],
        }


def line(report: dict[str, Any]) -> str:
    """One report as a line of a log."""
    parts = [
        f"{query['name']}: batch {query['batch']}, {query['input_rows']:,} rows, {query['rows_per_second']:,.0f} rows/s"
        + (f", watermark {query['watermark']}" if query["watermark"] else "")
        for query in report["queries"]
    ]
    return " | ".join(parts)
