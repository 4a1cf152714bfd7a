"""Task `show`: a table of the lab as text and as a machine-readable line."""

import argparse
import json
from dataclasses import dataclass
from functools import reduce
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import TimestampType

from streaming_lab.arguments import layout_of, task_parser
from streaming_lab.layout import Layout
from streaming_lab.session import session

_WIDEST = 40


@dataclass(frozen=True)
class Table:
    """A Delta table of the lab, and the order in which to look at it."""

    name: str
    order: tuple[str, ...]


_QUARANTINES = ("activity_quarantine", "windows_quarantine", "hub_events_quarantine")
TABLES = {
    "concepts": Table("activity", ("Recorded_At", "User_ID")),
    "windows": Table("windows_tumbling", ("start", "action")),
    "sliding": Table("windows_sliding", ("start", "action")),
    "event_hubs": Table("hub_events", ("Arrival_Time", "id")),
    **{name: Table(name, ("reason",)) for name in _QUARANTINES},
}
ALIASES = {
    "activity": "concepts",
    "windows_tumbling": "windows",
    "windows_sliding": "sliding",
    "hub_events": "event_hubs",
}
NAMES = sorted([*TABLES, *ALIASES, "quarantine"])


def main() -> None:
    """Print the first rows of a table."""
    parser = task_parser("show", "show a table of the lab")
    parser.add_argument("--table", choices=NAMES, required=True, help="an exercise or a table")
    parser.add_argument("--limit", type=_limit, default=20, help="rows to show, 1 to 1000")
    arguments = parser.parse_args()
    layout, spark = layout_of(arguments), session()
    rows = frame(spark, layout, arguments.table)
    total = rows.count()
    shown = [list(row) for row in rows.limit(arguments.limit).collect()]
    print(text(rows.columns, shown))
    print(f"{len(shown):,} of {total:,} rows of {arguments.table}")
    result = {"table": arguments.table, "columns": rows.columns, "rows": shown, "total": total}
    print(f"streaming-lab-result: {json.dumps(result)}", flush=True)


def frame(spark: SparkSession, layout: Layout, name: str) -> DataFrame:
    """The rows of a table in a useful order, times as text in UTC; SystemExit where there is no such table yet."""
    if name == "quarantine":
        return _quarantine(spark, layout).orderBy("exercise", "reason")
    table = TABLES[ALIASES.get(name, name)]
    rows = _read(spark, layout, table.name)
    times = {field.name: F.col(field.name).cast("string") for field in rows.schema if field.dataType == TimestampType()}
    return rows.orderBy(*table.order).withColumns(times)


def text(columns: list[str], rows: list[list[Any]]) -> str:
    """Rows as a table of text, with long values cut off."""
    cells = [columns, *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(columns))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _quarantine(spark: SparkSession, layout: Layout) -> DataFrame:
    """The rows that the exercises set aside, of all exercises that have been run."""
    frames = []
    for name in _QUARANTINES:
        try:
            rows = _read(spark, layout, name)
        except SystemExit:
            continue
        raw = F.col("body" if "body" in rows.columns else "raw").alias("raw")
        frames.append(rows.select(F.lit(name.removesuffix("_quarantine")).alias("exercise"), "reason", raw))
    if not frames:
        raise SystemExit("show: no exercise has set rows aside yet: run one first")
    return reduce(DataFrame.unionAll, frames)


def _read(spark: SparkSession, layout: Layout, table: str) -> DataFrame:
    try:
        return spark.read.format("delta").load(layout.table(table))
    except AnalysisException:
        raise SystemExit(f"show: table {table} does not exist yet in {layout.tables}: run its exercise first") from None


def _cell(value: Any) -> str:
    shown = "" if value is None else " ".join(str(value).split())
    return shown if len(shown) <= _WIDEST else f"{shown[: _WIDEST - 1]}…"


def _limit(number: str) -> int:
    if not number.isdecimal() or not 1 <= int(number) <= 1000:
        raise argparse.ArgumentTypeError(f"{number!r} is not a number from 1 to 1000")
    return int(number)
