"""Notebooks in Databricks' source format, run cell by cell with ``spark``, ``dbutils`` and ``display``."""

import ast
import linecache
import sys
from dataclasses import dataclass
from typing import Any

_HEADER = "# Databricks notebook source"
_SEPARATOR = "# COMMAND ----------"
_MAGIC = "# MAGIC"


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


def run(source: str, names: dict[str, Any]) -> None:
    """Run all cells with a notebook's names; the first exception ends it."""
    spark, display = names["spark"], names["display"]
    names = names | {"__name__": "__main__"}
    for number, cell in enumerate(parse(source), 1):
        if cell.language == "python":
            print(f"── cell {number}")
            _run_python(cell.text, f"<cell {number}>", names)
        elif cell.language == "sql":
            print(f"── cell {number} (sql)")
            display(spark.sql(cell.text))
        elif cell.language == "pip":
            print(f"── cell {number}: %pip is ignored, the cluster's Python already has the lab's libraries")
        elif not cell.language.startswith("md"):
            raise ValueError(f"cell {number}: the magic command %{cell.language} is not known on the local cloud")


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
