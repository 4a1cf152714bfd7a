"""Notebooks in Databricks' source format, run cell by cell with ``spark``, ``dbutils`` and ``display``."""

import ast
import linecache
import sys
from dataclasses import dataclass
from typing import Any

_HEADER = "# Databricks notebook source"
_SEPARATOR = "# COMMAND ----------"
_MAGIC = "# MAGIC"
_FIRST_ROWS = 30  # seconds that display waits for a stream's first rows
_SHOWN = 20  # rows


@dataclass(frozen=True)
class Cell:
    """One cell: its language (``python``, ``sql``, ``md``, ``pip``…) and its text."""

    language: str
    text: str


def parse(source: str) -> list[Cell]:
    """The cells of a notebook's source text; empty ones are left out."""
    cells: list[list[str]] = [[]]
    for line in source.splitlines():
        if line.strip() == _SEPARATOR:
            cells.append([])
        elif line.strip() != _HEADER:
            cells[-1].append(line)
    return [_cell(lines) for lines in cells if any(line.strip() for line in lines)]


def _cell(lines: list[str]) -> Cell:
    magic = [line[len(_MAGIC) :].removeprefix(" ") for line in lines if line.startswith(_MAGIC)]
    if not magic or not magic[0].startswith("%"):
        return Cell("python", "\n".join(lines))
    language, _, rest = magic[0][1:].partition(" ")
    return Cell(language, "\n".join([rest, *magic[1:]]).strip())


def run(source: str, spark: Any, widgets: dict[str, str]) -> None:
    """Run all cells; the first exception ends the notebook, and every stream that `display` started is stopped."""
    display = _Display(spark)
    names: dict[str, Any] = {
        "__name__": "__main__",
        "spark": spark,
        "sc": spark.sparkContext,
        "sql": spark.sql,
        "table": spark.table,
        "display": display.show,
        "dbutils": _DbUtils(widgets),
    }
    try:
        for number, cell in enumerate(parse(source), 1):
            if cell.language == "python":
                print(f"── cell {number}")
                _run_python(cell.text, f"<cell {number}>", names)
            elif cell.language == "sql":
                print(f"── cell {number} (sql)")
                display.show(spark.sql(cell.text))
            elif cell.language == "pip":
                print(f"── cell {number}: %pip is ignored, the cluster's Python already has the lab's libraries")
            elif not cell.language.startswith("md"):
                raise ValueError(f"cell {number}: the magic command %{cell.language} is not known on the local cloud")
    finally:
        display.stop()


def _run_python(text: str, name: str, names: dict[str, Any]) -> None:
    """Run a cell, and print the value of its last expression as a notebook shows it."""
    # Tracebacks show the cell's lines.
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    tree = ast.parse(text, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), names)  # noqa: S102
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), name, "eval"), names)  # noqa: S307
        if value is not None:
            print(repr(value))
    sys.stdout.flush()


class _Display:
    def __init__(self, spark: Any) -> None:
        self.spark = spark
        self.queries: list[Any] = []

    def show(self, value: Any = None, *_: object, streamName: str | None = None, **__: object) -> None:
        """Print a frame's first rows; a streaming frame's query is started and its first rows are shown."""
        if not hasattr(value, "isStreaming"):
            print(value)
        elif not value.isStreaming:
            value.show(_SHOWN, truncate=80)
        else:
            name = streamName or f"display_query_{len(self.queries) + 1}"
            query = self._start(value, name)
            self.queries.append(query)
            waited = 0.0
            while waited < _FIRST_ROWS and query.isActive and not any(p["numInputRows"] for p in query.recentProgress):
                query.awaitTermination(0.5)  # type: ignore[unused-ignore]
                waited += 0.5
            self.spark.table(name).show(_SHOWN, truncate=80)

    def _start(self, frame: Any, name: str) -> Any:
        from pyspark.errors import AnalysisException

        writer = frame.writeStream.format("memory").queryName(name)
        try:
            return writer.outputMode("append").start()
        except AnalysisException:
            # An aggregation without a watermark has nothing to append; a notebook shows its whole result.
            return writer.outputMode("complete").start()

    def stop(self) -> None:
        for query in self.queries:
            query.stop()


class _DbUtils:
    """``dbutils.secrets`` over the workspace's REST API, and ``dbutils.widgets``."""

    def __init__(self, widgets: dict[str, str]) -> None:
        self.widgets = Widgets(widgets)

    @property
    def secrets(self) -> Any:
        from databricks.sdk.runtime import dbutils

        return dbutils.secrets


class Widgets:
    """Input widgets: a value that the job passes wins over the default."""

    def __init__(self, values: dict[str, str]) -> None:
        self._passed = dict(values)
        self._defaults: dict[str, str] = {}

    def text(self, name: str, defaultValue: str, label: str | None = None) -> None:
        """Make a text widget."""
        self._defaults[name] = str(defaultValue)

    def dropdown(self, name: str, defaultValue: str, choices: list[str], label: str | None = None) -> None:
        """Make a widget whose default must be one of its choices."""
        if defaultValue not in choices:
            raise ValueError(f"widget {name}: the default {defaultValue} is not among its choices")
        self._defaults[name] = str(defaultValue)

    combobox = multiselect = dropdown

    def get(self, name: str) -> str:
        """The widget's value."""
        try:
            return (self._defaults | self._passed)[name]
        except KeyError:
            raise ValueError(f"InputWidgetNotDefined: No input widget named {name} is defined") from None

    def getAll(self) -> dict[str, str]:
        """All widgets' values."""
        return self._defaults | self._passed

    def remove(self, name: str) -> None:
        """Remove one widget."""
        self._defaults.pop(name, None)

    def removeAll(self) -> None:
        """Remove all widgets."""
        self._defaults.clear()
