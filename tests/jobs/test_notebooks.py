"""The notebooks, run cell by cell where only `spark`, `dbutils` and `display` exist."""

from argparse import ArgumentTypeError
from pathlib import Path

import pytest
from streaming_lab import connection, generate
from streaming_lab.layout import Layout

pytest_plugins = ["tests.jobs.broker"]

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


class Widgets:
    """`dbutils.widgets` of a notebook that was given some of its values."""

    def __init__(self, values):
        self.values = values

    def text(self, name, default):
        self.values.setdefault(name, default)

    def get(self, name):
        return self.values[name]


class Dbutils:
    def __init__(self, values):
        self.widgets = Widgets(values)


@pytest.fixture
def run_notebook(spark):
    """Run a notebook's cells; returns the tables that it displayed, as lists of rows."""

    def run(name, **widgets):
        displayed = []

        def display(frame):
            displayed.append(frame.isStreaming or [tuple(row) for row in frame.collect()])

        source = (NOTEBOOKS / f"{name}.py").read_text()
        assert source.startswith("# Databricks notebook source\n")
        names = {"spark": spark, "dbutils": Dbutils(widgets), "display": display}
        for cell in source.split("# COMMAND ----------\n"):
            exec(compile(cell, name, "exec"), names)
        return displayed

    return run


@pytest.mark.parametrize("name", ["01_concepts", "02_windows"])
def test_a_notebook_runs_to_its_end_and_leaves_nothing_behind(spark, root, folder, run_notebook, name):
    generate.generate(spark, Layout(root), "spring/ann", 0.02)
    displayed = run_notebook(name, root=root)
    assert True in displayed  # a stream
    assert any(isinstance(rows, list) and rows for rows in displayed)
    assert spark.streams.active == []
    assert not any((folder / "exercises" / "notebook").iterdir())


def test_the_event_hubs_notebook_sends_reads_and_adds_up(
    spark, root, folder, broker, run_notebook, monkeypatch, capsys
):
    generate.generate(spark, Layout(root), "spring/ann", 0.02)
    hub = broker.hub("notebook")
    connections = {"event-hubs-send": hub.send, "event-hubs-listen": hub.listen}
    monkeypatch.setattr(connection, "from_secret", lambda _, key: connections[key])
    displayed = run_notebook("03_event_hubs", root=root, secretScope="lab", consumerGroup="lab")
    [[_, exact, through_a_double]] = [rows[0][-3:] for rows in displayed if rows and rows[0][0] == 1424686733176178965]
    assert exact.microsecond == 176178 != through_a_double.microsecond
    printed = capsys.readouterr().out.splitlines()
    counts = {line[:16].strip(): int(line[16:]) for line in printed[-5:]}
    assert counts.pop("in the hub") == sum(counts.values()) == 40
    assert spark.streams.active == []
    assert not any((folder / "exercises" / "notebook").iterdir())


@pytest.mark.parametrize("name", ["01_concepts", "02_windows", "03_event_hubs"])
def test_a_notebook_without_its_root_says_so_before_it_touches_anything(run_notebook, name):
    with pytest.raises(ArgumentTypeError, match="'' is not a URL such as abfss://"):
        run_notebook(name)
