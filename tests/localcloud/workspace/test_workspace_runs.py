"""Runs of jobs: which one may start, how it ends, and what outlives a full disk or a restart."""

import sqlite3
import threading
from collections.abc import Callable
from typing import Any

import pytest

from localcloud.errors import DatabricksError
from localcloud.store import Store
from localcloud.workspace import Workspace, Workspaces
from tests.command import wait_until

Body = dict[str, Any]


def _results(run: Body) -> dict[str, str]:
    return {task["task_key"]: task["state"]["result_state"] for task in run["tasks"]}


def test_a_store_that_cannot_write_for_a_while_neither_stops_a_run_nor_loses_its_end(
    job: Any, task: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, refused = Store.put, []

    def full_at_first(store: Store, kind: str, key: str, value: Body) -> None:
        state = value["state"]["life_cycle_state"] if "tasks" in value else ""
        if state in ("RUNNING", "TERMINATED") and refused.count(state) < 2:
            refused.append(state)
            raise sqlite3.OperationalError("database or disk is full")
        put(store, kind, key, value)

    monkeypatch.setattr(Store, "put", full_at_first)
    done = run(job(task("a"), task("b", "a")))
    assert _results(done) == {"a": "SUCCESS", "b": "SUCCESS"}
    assert refused == ["RUNNING", "RUNNING", "TERMINATED", "TERMINATED"]


def test_an_end_that_cannot_be_stored_yet_is_told(
    workspace: Workspace, job: Any, task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, room = Store.put, threading.Event()

    def full(store: Store, kind: str, key: str, value: Body) -> None:
        if "tasks" in value and value["state"]["life_cycle_state"] == "TERMINATED" and not room.is_set():
            raise sqlite3.OperationalError("database or disk is full")
        put(store, kind, key, value)

    monkeypatch.setattr(Store, "put", full)
    run_id = workspace.runs.run_now(job(task("a")), workspace.developer)["run_id"]
    wait_until(lambda: workspace.runs.get(run_id)["state"]["life_cycle_state"] == "TERMINATED", "the end is told")
    assert [run["run_id"] for run in workspace.runs.all(active=False)] == [run_id]
    assert workspace.runs.active(workspace.runs.get(run_id)["job_id"]) == [run_id]
    room.set()
    assert workspace.runs.wait(run_id, 60)["state"]["result_state"] == "SUCCESS"
    assert not workspace.runs.active(workspace.runs.get(run_id)["job_id"])


def test_a_second_run_is_skipped_or_queued(
    workspace: Workspace, job: Any, task: Any, drivers: Any, finished: Any
) -> None:
    drivers.behaviour["a"] = "wait"
    start = workspace.runs.run_now
    job_id = job(task("a"))
    first = start(job_id, workspace.developer)
    skipped = finished(start(job_id, workspace.developer)["run_id"])
    assert skipped["state"]["life_cycle_state"] == "SKIPPED"
    assert skipped["state"]["result_state"] == "MAXIMUM_CONCURRENT_RUNS_REACHED"
    queued = start(job_id, workspace.developer, {"queue": {"enabled": True}})
    assert workspace.runs.get(queued["run_id"])["state"]["life_cycle_state"] == "QUEUED"
    workspace.scheduler.check()
    assert workspace.runs.get(queued["run_id"])["state"]["life_cycle_state"] == "QUEUED"
    drivers.task("a").finish()
    finished(first["run_id"])
    workspace.scheduler.check()
    drivers.task("a", 2).finish()
    assert finished(queued["run_id"])["state"]["result_state"] == "SUCCESS"


def test_a_queued_run_is_given_up_after_48_hours_and_can_be_canceled(
    workspace: Workspace, job: Any, task: Any, drivers: Any, finished: Any, clock: Any
) -> None:
    drivers.behaviour["a"] = "wait"
    job_id = job(task("a"), queue={"enabled": True})
    workspace.runs.run_now(job_id, workspace.developer)
    late, canceled = [workspace.runs.run_now(job_id, workspace.developer)["run_id"] for _ in range(2)]
    workspace.runs.cancel(canceled, workspace.developer)
    assert finished(canceled)["state"]["result_state"] == "CANCELED"
    clock.advance(hours=49)
    workspace.scheduler.check()
    assert finished(late)["state"]["life_cycle_state"] == "SKIPPED"


def test_a_job_that_may_have_no_run_skips_all(workspace: Workspace, job: Any, task: Any, run: Any) -> None:
    assert run(job(task("a"), max_concurrent_runs=0))["state"]["life_cycle_state"] == "SKIPPED"


def test_an_idempotency_token_starts_one_run_alone(workspace: Workspace, job: Any, task: Any) -> None:
    job_id = job(task("a"), max_concurrent_runs=5)
    first, second = [
        workspace.runs.run_now(job_id, workspace.developer, {"idempotency_token": "once"})["run_id"] for _ in range(2)
    ]
    assert first == second
    with pytest.raises(DatabricksError, match="at most 64 characters"):
        workspace.runs.run_now(job_id, workspace.developer, {"idempotency_token": "x" * 65})


def test_a_canceled_run_cancels_what_runs_and_what_waits(
    workspace: Workspace, job: Any, task: Any, drivers: Any, finished: Any
) -> None:
    drivers.behaviour["a"] = "wait"
    run_id = workspace.runs.run_now(job(task("a"), task("b", "a")), workspace.developer)["run_id"]
    handle = drivers.task("a")
    workspace.runs.cancel(run_id, workspace.developer)
    done = finished(run_id)
    assert handle.asked_to_stop
    assert _results(done) == {"a": "CANCELED", "b": "CANCELED"}
    assert done["status"]["termination_details"]["code"] == "USER_CANCELED"
    workspace.runs.cancel(run_id, workspace.developer)
    assert workspace.runs.get(run_id)["state"] == done["state"]


def test_deleting_a_job_cancels_its_runs(
    workspace: Workspace, job: Any, task: Any, drivers: Any, finished: Any
) -> None:
    drivers.behaviour["a"] = "wait"
    job_id = job(task("a"))
    run_id = workspace.runs.run_now(job_id, workspace.developer)["run_id"]
    drivers.task("a")
    workspace.delete_job(job_id, workspace.developer)
    assert finished(run_id)["state"]["result_state"] == "CANCELED"


def test_a_failed_task_is_tried_again_as_often_as_it_may(job: Any, task: Any, run: Any, drivers: Any) -> None:
    drivers.behaviour["a"] = ("FAILED", "no", "")
    done = run(job(task("a", max_retries=2)))
    assert len(drivers.tasks) == 3
    assert done["tasks"][0]["attempt_number"] == 2
    assert len({handle.spec.task_id for handle in drivers.tasks}) == 3


def test_a_task_that_takes_too_long_is_stopped(job: Any, task: Any, run: Any, drivers: Any) -> None:
    drivers.behaviour["a"] = "wait"
    done = run(job(task("a", timeout_seconds=1)))
    assert done["tasks"][0]["state"]["result_state"] == "TIMEDOUT"
    assert drivers.task("a").asked_to_stop


def test_a_run_that_takes_too_long_is_stopped(job: Any, task: Any, run: Any, drivers: Any) -> None:
    drivers.behaviour["a"] = "wait"
    assert run(job(task("a"), timeout_seconds=1))["state"]["result_state"] == "TIMEDOUT"


def test_a_cluster_that_is_stopped_under_a_run_is_named_in_its_message(
    workspace: Workspace, job: Any, task: Any, drivers: Any, finished: Any, cluster: str
) -> None:
    drivers.behaviour["a"] = "wait"
    run_id = workspace.runs.run_now(job(task("a")), workspace.developer)["run_id"]
    drivers.task("a")
    workspace.clusters.terminate(cluster, workspace.developer)
    task_state = finished(run_id)["tasks"][0]
    assert task_state["state"]["state_message"].startswith(f"Cluster {cluster} was terminated during the run")
    assert task_state["status"]["termination_details"]["code"] == "CLUSTER_ERROR"


def test_a_cluster_that_does_not_start_fails_the_run_with_the_reason(
    job: Any, task: Any, run: Any, drivers: Any
) -> None:
    drivers.refuse_to_start = "no memory"
    done = run(job(task("a")))
    assert "could not start: Spark failed to start: no memory" in done["state"]["state_message"]


def test_what_is_wrong_with_the_cloud_itself_is_added_to_a_failure(
    job: Any, task: Any, run: Any, drivers: Any, notices: list[str]
) -> None:
    notices.append("the broker of ehns-lab does not start")
    drivers.behaviour["a"] = ("FAILED", "KafkaException: timed out", "")
    message = run(job(task("a")))["tasks"][0]["state"]["state_message"]
    assert message == "KafkaException: timed out (the broker of ehns-lab does not start)"


def test_after_a_restart_active_runs_have_failed_queued_ones_wait_and_clusters_are_stopped(
    workspace: Workspace,
    open_workspaces: Callable[[], Workspaces],
    job: Any,
    task: Any,
    drivers: Any,
    cluster: str,
) -> None:
    drivers.behaviour["a"] = "wait"
    job_id = job(task("a"), task("b", "a"), queue={"enabled": True})
    active, queued = [workspace.runs.run_now(job_id, workspace.developer)["run_id"] for _ in range(2)]
    drivers.task("a")
    again = open_workspaces().get(workspace.url)
    assert again
    lost = again.runs.get(active)
    assert (lost["state"]["life_cycle_state"], lost["state"]["result_state"]) == ("INTERNAL_ERROR", "FAILED")
    assert "The local cloud ended while this run was active" in lost["state"]["state_message"]
    assert again.runs.output(lost["tasks"][0]["run_id"])["error"] == lost["state"]["state_message"]
    assert again.clusters.get(cluster)["state"] == "TERMINATED"
    assert again.runs.get(queued)["state"]["life_cycle_state"] == "QUEUED"
    again.scheduler.check()
    drivers.task("a", 2).finish()
    assert again.runs.wait(queued, 20)["state"]["result_state"] == "SUCCESS"


def test_a_run_that_ends_while_the_cloud_stops_is_not_called_a_failure_of_its_own(
    workspace: Workspace,
    workspaces: Workspaces,
    open_workspaces: Callable[[], Workspaces],
    job: Any,
    task: Any,
    drivers: Any,
) -> None:
    drivers.behaviour["a"] = "wait"
    run_id = workspace.runs.run_now(job(task("a")), workspace.developer)["run_id"]
    drivers.task("a")
    workspaces.close()
    again = open_workspaces().get(workspace.url)
    assert again and "The local cloud ended" in again.runs.get(run_id)["state"]["state_message"]
