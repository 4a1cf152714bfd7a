"""What a student meets first: up, run, numbers that are proven, and numbers that no longer hold."""

import base64
import json
import time
from contextlib import contextmanager

import pytest
from databricks.sdk.service import jobs, workspace

SENT = {"concepts": 60_000, "windows": 60_000, "event_hubs": 20_000}
TERMS = ("stored", "quarantined", "duplicates", "late", "open")


def exercise(verdict, name):
    return next(row for row in verdict["exercises"] if row["name"] == name)


@pytest.fixture(scope="module")
def sql(lab):
    """Run SQL on the student's cluster in a notebook of our own; returns what it printed."""
    client, outputs = lab.workspace(), lab.outputs()
    path = f"{outputs['home']}/tampering"

    def run(statement: str) -> str:
        source = f"# Databricks notebook source\nprint(spark.sql({statement!r}).collect())\n"
        client.workspace.import_(
            path,
            content=base64.b64encode(source.encode()).decode(),
            format=workspace.ImportFormat.SOURCE,
            language=workspace.Language.PYTHON,
            overwrite=True,
        )
        task = jobs.SubmitTask(
            task_key="sql",
            existing_cluster_id=outputs["clusterId"],
            notebook_task=jobs.NotebookTask(notebook_path=path),
        )
        done = client.jobs.submit_and_wait(run_name="tampering", tasks=[task])
        return client.jobs.get_run_output(done.tasks[0].run_id).logs or ""

    yield run
    client.workspace.delete(path)


@pytest.fixture
def tampered(lab, sql):
    """Change a table's first row inside a `with` block; after it the table is as it was."""

    @contextmanager
    def change(table: str, first: str, statement: str):
        name = f"delta.`{lab.outputs()['root']}/exercises/tables/{table}`"
        version = sql(f"DESCRIBE HISTORY {name} LIMIT 1").split("version=")[1].split(",")[0]
        # Delta takes no subquery in a DELETE's condition, so the value is read before.
        value = sql(f"SELECT string(min({first})) AS first FROM {name}").split("first='")[1].split("'")[0]
        sql(f"{statement.format(table=name)} WHERE {first} = '{value}'")
        try:
            yield
        finally:
            sql(f"RESTORE TABLE {name} TO VERSION AS OF {version}")

    return change


def test_each_exercise_balances_to_a_remainder_of_exactly_zero(lab):
    verdict = lab.json("verify")
    assert verdict["ok"] is True
    assert [row["name"] for row in verdict["exercises"]] == list(SENT)
    for row in verdict["exercises"]:
        assert set(row) >= {"name", "sent", *TERMS, "remainder"}
        assert row["sent"] == SENT[row["name"]]
        assert row["sent"] == sum(row[term] for term in TERMS)
        assert row["remainder"] == 0


def test_late_duplicate_and_malformed_records_are_really_there_and_really_removed(lab):
    verdict = lab.json("verify")
    assert exercise(verdict, "windows")["late"] > 0
    assert exercise(verdict, "windows")["open"] > 0
    assert exercise(verdict, "event_hubs")["duplicates"] > 0
    assert all(row["quarantined"] > 0 for row in verdict["exercises"])


def test_a_second_up_and_run_change_nothing(lab):
    before = lab.json("verify")
    assert "0 changed" in lab("up")
    lab("run")
    assert lab.json("verify") == before


@pytest.mark.parametrize(
    ("name", "table", "first", "statement"),
    [
        ("concepts", "activity", "Recorded_At", "DELETE FROM {table}"),
        ("event_hubs", "hub_events", "id", "DELETE FROM {table}"),
        ("windows", "windows_tumbling", "start", "UPDATE {table} SET count = count + 1"),
        ("windows", "windows_sliding", "start", "UPDATE {table} SET count = count + 1"),
    ],
)
def test_one_changed_row_is_found_and_named(lab, tampered, name, table, first, statement):
    with tampered(table, first, statement):
        verdict = lab.json("verify", exits=1)
    assert verdict["ok"] is False
    broken = [row["name"] for row in verdict["exercises"] if row["problems"]]
    assert broken == [name]
    assert lab.json("verify")["ok"] is True


def test_one_missing_input_file_is_found_and_named(lab):
    container = next((lab.state / "storage").glob("*/*/exercises")).parent
    file = sorted((container / "exercises/input/events").glob("part-*"))[3]
    aside = file.rename(container / file.name)
    try:
        assert "windows" in lab("verify", exits=1)
    finally:
        aside.rename(file)
    assert lab.json("verify")["ok"] is True


def test_show_displays_a_table_and_refuses_one_that_does_not_exist(lab):
    table = lab.json("show", "windows")
    assert {"action", "count"} <= set(table["columns"])
    assert table["total"] == len(table["rows"]) or len(table["rows"]) > 0
    assert "nonsense" in lab("show", "nonsense", exits=2)


def test_status_names_what_exists_without_a_secret(lab):
    status = lab.json("status")
    assert status["outputs"]["student"] == "dev"
    assert "SharedAccessKey" not in json.dumps(status)


def test_the_live_lab_runs_until_it_is_stopped(lab):
    following = lab.start("run", "live")
    deadline = time.monotonic() + 120
    try:
        while time.monotonic() < deadline:
            active = {stream["name"] for stream in lab.json("streams")["streams"] if stream["active"]}
            if {"publish", "event_hubs", "windows_tumbling"} <= active:
                break
        else:
            pytest.fail(f"the live streams did not all start: {active}")
    finally:
        following.terminate()
        following.communicate(timeout=60)
    lab("stop")
    assert not [stream for stream in lab.json("streams")["streams"] if stream["active"]]
    assert lab.json("verify")["ok"] is True
