"""The notebooks of exercises 1 and 2, run cell by cell where only `spark`, `dbutils` and `display` exist."""

from pathlib import Path

import pytest
from streaming_lab import generate
from streaming_lab.layout import Layout

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


class Widgets:
    """`dbutils.widgets` of a notebook that was given its `root`."""

    def __init__(self, root):
        self.values = {"root": root}

    def text(self, name, default):
        self.values.setdefault(name, default)

    def get(self, name):
        return self.values[name]


class Dbutils:
    def __init__(self, root):
        self.widgets = Widgets(root)


@pytest.fixture
def run_notebook(spark, root):
    """Run a notebook's cells; returns the tables that it displayed, as lists of rows."""

    def run(name):
        displayed = []

        def display(frame):
            displayed.append(frame.isStreaming or [tuple(row) for row in frame.collect()])

        source = (NOTEBOOKS / f"{name}.py").read_text()
        assert source.startswith("# Databricks notebook source\n")
        names = {"spark": spark, "dbutils": Dbutils(root), "display": display}
        for cell in source.split("# COMMAND ----------\n"):
            exec(compile(cell, name, "exec"), names)
        return displayed

    return run


@pytest.mark.parametrize("name", ["01_concepts", "02_windows"])
def test_a_notebook_runs_to_its_end_and_leaves_nothing_behind(spark, root, folder, run_notebook, name):
    generate.generate(spark, Layout(root), "spring/ann", 0.02)
    displayed = run_notebook(name)
    assert True in displayed  # a stream
    assert any(isinstance(rows, list) and rows for rows in displayed)
    assert spark.streams.active == []
    assert not any((folder / "exercises" / "notebook").iterdir())
