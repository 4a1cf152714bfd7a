"""``display``: frames as text."""

from typing import Any

_FIRST_ROWS = 30  # seconds that display waits for a stream's first rows
_SHOWN = 20  # rows


class Display:
    """A session's ``display``; the queries that it starts run until the session ends."""

    def __init__(self, spark: Any) -> None:
        self._spark = spark
        self._streams = 0

    def __call__(self, value: Any = None, *_: object, streamName: str | None = None, **__: object) -> None:
        """Print a frame's first rows; a streaming frame's query is started and its first rows are shown."""
        if not hasattr(value, "isStreaming"):
            print(value)
        elif not value.isStreaming:
            value.show(_SHOWN, truncate=80)
        else:
            self._streams += 1
            name = streamName or f"display_query_{self._streams}"
            query = self._start(value, name)
            waited = 0.0
            while waited < _FIRST_ROWS and query.isActive and not any(p["numInputRows"] for p in query.recentProgress):
                query.awaitTermination(0.5)  # type: ignore[unused-ignore]
                waited += 0.5
            self._spark.table(name).show(_SHOWN, truncate=80)

    def _start(self, frame: Any, name: str) -> Any:
        from pyspark.errors import AnalysisException

        writer = frame.writeStream.format("memory").queryName(name)
        try:
            return writer.outputMode("append").start()
        except AnalysisException:
            # An aggregation without a watermark has nothing to append; a notebook shows its whole result.
            return writer.outputMode("complete").start()
