"""Task `show`: a table of the lab as text and as a machine-readable line."""

import argparse
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import TimestampType

from streaming_lab.arguments import layout_of, task_parser
from streaming_lab.layout import Layout
from streaming_lab.result import print_result
from streaming_lab.session import session

_WIDEST = 40


TABLES = {
    "activity": ("Recorded_At", "User_ID"),
    "activity_quarantine": ("reason",),
    "windows_tumbling": ("start", "action"),
    "windows_sliding": ("start", "action"),
    "windows_quarantine": ("reason",),
    "hub_events": ("Arrival_Time", "id"),
    "hub_events_quarantine": ("reason",),
}
"""The lab's Delta tables, each with the columns by which it is looked at in order."""


def main() -> None:
    """Print the first rows of a table."""
    parser = task_parser("show", "show a table of the lab")
    parser.add_argument("--table", choices=sorted(TABLES), required=True, help="a table")
    parser.add_argument("--limit", type=_limit, default=20, help="rows to show, 1 to 1000")
    arguments = parser.parse_args()
    layout, spark = layout_of(arguments), session()
    rows = frame(spark, layout, arguments.table)
    total = rows.count()
    shown = [list(row) for row in rows.limit(arguments.limit).collect()]
    print(text(rows.columns, shown))
    print(f"{len(shown):,} of {total:,} rows of {arguments.table}")
    result = {"table": arguments.table, "columns": rows.columns, "rows": shown, "total": total}
    print_result(result)


def frame(spark: SparkSession, layout: Layout, name: str) -> DataFrame:
    """The rows of a table in a useful order, times as text in UTC; SystemExit where there is no such table yet."""
    try:
        rows = spark.read.format("delta").load(layout.table(name))
    except AnalysisException:
        raise SystemExit(f"table {name} does not exist yet in {layout.tables}: run its exercise first") from None
    times = {field.name: F.col(field.name).cast("string") for field in rows.schema if field.dataType == TimestampType()}
    return rows.orderBy(*TABLES[name]).withColumns(times)


def text(columns: list[str], rows: list[list[Any]]) -> str:
    """Rows as a table of text, with long values cut off."""
    cells = [columns, *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(columns))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _cell(value: Any) -> str:
    shown = "" if value is None else " ".join(str(value).split())
    return shown if len(shown) <= _WIDEST else f"{shown[: _WIDEST - 1]}…"


def _limit(number: str) -> int:
    if not number.isdecimal() or not 1 <= int(number) <= 1000:
        raise argparse.ArgumentTypeError(f"{number!r} is not a number from 1 to 1000")
    return int(number)
