"""What a student meets first: up, run, numbers that are proven, and numbers that no longer hold."""

import base64
import json
import urllib.request

import pytest
from databricks.sdk.service import jobs, workspace

from tests.command import wait_until

SENT = {"concepts": 60_000, "windows": 60_000, "event_hubs": 20_000}
TERMS = ("stored", "quarantined", "duplicates", "late", "open")


def exercise(verdict, name):
    return next(row for row in verdict["exercises"] if row["name"] == name)


@pytest.fixture(scope="module")
def notebook(lab):
    """Run a notebook of our own on the student's cluster."""
    client, outputs = lab.workspace(), lab.outputs()
    path = f"{outputs['home']}/tampering"

    def run(*cells: str) -> None:
        # With the default of 200 shuffle partitions, one RESTORE takes more than a minute.
        setting = "spark.conf.set('spark.sql.shuffle.partitions', 2)"
        source = "\n\n# COMMAND ----------\n\n".join(["# Databricks notebook source", setting, *cells])
        client.workspace.import_(
            path,
            content=base64.b64encode(source.encode()).decode(),
            format=workspace.ImportFormat.SOURCE,
            language=workspace.Language.PYTHON,
            overwrite=True,
        )
        task = jobs.SubmitTask(
            task_key="notebook",
            existing_cluster_id=outputs["clusterId"],
            notebook_task=jobs.NotebookTask(notebook_path=path),
        )
        client.jobs.submit_and_wait(run_name="tampering", tasks=[task])

    yield run
    client.workspace.delete(path)


TAMPERED = [
    # exercise, table, the column whose smallest value says which row, what is done to that row
    ("concepts", "activity", "Recorded_At", "DELETE FROM {table}"),
    ("windows", "windows_tumbling", "start", "UPDATE {table} SET count = count + 1"),
]


def test_each_exercise_balances_to_a_remainder_of_exactly_zero(lab):
    assert lab.ledger["ok"] is True
    assert [row["name"] for row in lab.ledger["exercises"]] == list(SENT)
    for row in lab.ledger["exercises"]:
        assert set(row) == {"name", "sent", *TERMS, "remainder"}
        assert row["sent"] == SENT[row["name"]]
        assert row["sent"] == sum(row[term] for term in TERMS)
        assert row["remainder"] == 0


def test_late_duplicate_and_malformed_records_are_really_there_and_really_removed(lab):
    assert exercise(lab.ledger, "windows")["late"] > 0
    assert exercise(lab.ledger, "windows")["open"] > 0
    assert exercise(lab.ledger, "event_hubs")["late"] > 0
    assert exercise(lab.ledger, "event_hubs")["duplicates"] > 0
    assert all(row["quarantined"] > 0 for row in lab.ledger["exercises"])


def test_a_second_up_and_run_change_nothing_and_a_rehearsal_is_switched_on(lab):
    assert "0 changed" in lab("up", "--latencies", "0.001")
    asked = urllib.request.Request(f"{lab.endpoint['arm']}/local/rehearsal")
    asked.add_header("Authorization", f"Bearer {lab.token}")
    with urllib.request.urlopen(asked) as answer:
        assert json.load(answer) == {"latencies": 0.001}
    assert lab.json("run")["exercises"] == lab.ledger["exercises"]


def test_a_removed_row_a_missing_file_and_a_changed_count_are_found_and_named(lab, notebook):
    names = {table: f"delta.`{lab.outputs()['root']}/exercises/tables/{table}`" for _, table, _, _ in TAMPERED}
    # Delta takes no subquery in a DELETE's condition, so the row's value is read before.
    notebook(
        *(
            f"value = spark.sql('SELECT string(min({column})) FROM {names[table]}').collect()[0][0]\n"
            f"spark.sql(f\"{statement.format(table=names[table])} WHERE {column} = '{{value}}'\")"
            for _, table, column, statement in TAMPERED
        )
    )
    container = next((lab.state / "storage").glob("*/*/exercises")).parent
    file = sorted((container / "exercises/input/hub_events").glob("part-*"))[3]
    aside = file.rename(container / file.name)
    try:
        verdict = lab.json("verify", exits=1)
    finally:
        aside.rename(file)
        notebook(
            *(
                f"last = spark.sql('DESCRIBE HISTORY {name}').agg({{'version': 'max'}}).collect()[0][0]\n"
                f"spark.sql(f'RESTORE TABLE {name} TO VERSION AS OF {{last - 1}}')"
                for name in names.values()
            )
        )
    assert verdict["ok"] is False
    for name, table, _, _ in TAMPERED:
        assert any(table in problem for problem in exercise(verdict, name)["problems"]), (table, verdict)
    assert exercise(verdict, "concepts")["remainder"] == 1
    assert file.name in str(exercise(verdict, "event_hubs")["problems"])
    whole = lab.json("verify")
    assert (whole["ok"], whole["exercises"]) == (True, lab.ledger["exercises"])


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
    expected = {"publish", "event_hubs", "windows_tumbling"}

    def committed():
        return {batch.parent.parent.name for batch in lab.state.glob("storage/*/*/live/checkpoints/*/commits/0")}

    def active():
        return {stream["name"] for stream in lab.json("streams")["streams"] if stream["active"]}

    following = lab.start("run", "live")
    try:
        wait_until(lambda: expected <= committed(), "the live streams' first batches")
        wait_until(lambda: expected <= active(), "lab streams to show them")
    finally:
        following.terminate()
        following.communicate(timeout=60)
    lab("stop")
    assert not active()
    assert lab.json("verify")["ok"] is True
