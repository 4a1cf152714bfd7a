"""Jobs and their runs: what is refused, in which order tasks run, and how runs end."""

import sqlite3
import threading
from collections.abc import Callable
from typing import Any

import pytest

from localcloud.errors import DatabricksError
from localcloud.store import Store
from localcloud.workspace import Caller, Workspace, Workspaces
from tests.command import wait_until

Body = dict[str, Any]


def _results(run: Body) -> dict[str, str]:
    return {task["task_key"]: task["state"]["result_state"] for task in run["tasks"]}


def _schedule(expression: str, zone: str = "UTC") -> Body:
    return {"schedule": {"quartz_cron_expression": expression, "timezone_id": zone}}


_CONTINUOUS = {"continuous": {"pause_status": "PAUSED"}}


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (_schedule("every day"), "Invalid quartz_cron_expression: every day. Expected 6 or 7 fields"),
        (_schedule("0 0 25 * * ?"), "Invalid quartz_cron_expression: 0 0 25 .* '25' is no value of the hours field"),
        (_schedule("0 0 6 * * ?", "Mars/Olympus"), "Invalid timezone_id: Mars/Olympus"),
        ({"schedule": {"quartz_cron_expression": "0 0 6 * * ?"}}, "A schedule must have a timezone_id"),
        ({**_schedule("0 0 6 * * ?"), **_CONTINUOUS}, "cannot have both a schedule and continuous"),
        ({"continuous": {"pause_status": "OFF"}}, "pause_status 'OFF' is none of PAUSED, UNPAUSED"),
        ({**_CONTINUOUS, "max_concurrent_runs": 2}, "A continuous job must have max_concurrent_runs 1"),
        ({"max_concurrent_runs": 1001}, "max_concurrent_runs must be between 0 and 1000, not 1001"),
        ({"parameters": [{"name": "a b", "default": "1"}]}, "Job parameter 'a b' must be made of"),
        ({"parameters": [{"name": "a", "default": "1"}] * 2}, "Job parameter 'a' is not unique"),
        ({"run_as": {"user_name": "eve@example.com"}}, "run_as: user eve@example.com does not exist"),
        ({"job_clusters": [{}]}, "Job setting 'job_clusters' is not supported by the local workspace"),
    ],
)
def test_settings_that_break_a_rule_are_refused(job: Any, task: Any, wrong: Body, text: str) -> None:
    with pytest.raises(DatabricksError, match=text):
        job(task("generate"), **wrong)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"depends_on": [{"task_key": "generate"}]}, "task 'generate' can not reference itself."),
        ({"depends_on": [{"task_key": "none"}]}, "task 'generate' depends on unknown task 'none'"),
        ({"existing_cluster_id": "0000-none"}, "Cluster 0000-none does not exist"),
        ({"existing_cluster_id": None}, "Task 'generate' must specify existing_cluster_id"),
        ({"task_key": "two words"}, "task_key 'two words' must have 1 to 100 characters"),
        ({"run_if": "SOMETIMES"}, "run_if 'SOMETIMES' is none of ALL_SUCCESS"),
        ({"max_retries": -2}, "max_retries must be -1"),
        ({"libraries": [{"pypi": {"package": "x"}}]}, "other than a whl file of the workspace"),
        ({"python_wheel_task": {"package_name": "x"}}, "python_wheel_task must have 'entry_point'"),
        ({"notebook_task": {"notebook_path": "/a"}}, "must specify exactly one of python_wheel_task and notebook_task"),
        ({"new_cluster": {"num_workers": 1}}, "field 'new_cluster' is not supported"),
        (
            {
                "python_wheel_task": {
                    "package_name": "x",
                    "entry_point": "y",
                    "parameters": ["a"],
                    "named_parameters": {"b": "c"},
                }
            },
            "takes either parameters or named_parameters, not both",
        ),
    ],
)
def test_a_task_that_breaks_a_rule_is_refused(job: Any, task: Any, change: Body, text: str) -> None:
    with pytest.raises(DatabricksError, match=text):
        job({**task("generate"), **change})


def test_tasks_that_depend_on_each_other_are_refused(job: Any, task: Any) -> None:
    with pytest.raises(DatabricksError, match="Invalid dependency graph, tasks a, b form a cycle"):
        job(task("a", "b"), task("b", "a"), task("c"))
    with pytest.raises(DatabricksError, match="Task key 'a' is not unique"):
        job(task("a"), task("a"))


def test_a_continuous_job_takes_neither_dependencies_nor_retries(job: Any, task: Any) -> None:
    with pytest.raises(DatabricksError, match="do not support task dependencies: task 'b' has depends_on"):
        job(task("a"), task("b", "a"), **_CONTINUOUS)
    with pytest.raises(DatabricksError, match="do not support retry policies: task 'a' has max_retries"):
        job(task("a", max_retries=1), **_CONTINUOUS)


def test_an_update_merges_tasks_by_key_and_a_reset_replaces_everything(
    workspace: Workspace, job: Any, task: Any
) -> None:
    job_id = job(task("a"), task("b", "a"), tags={"x": "y"})
    changed = workspace.jobs.update(
        job_id, {"name": "new", "tasks": [task("c")]}, ["tags", "tasks/b"], workspace.developer
    )
    assert changed["settings"]["name"] == "new"
    assert [item["task_key"] for item in changed["settings"]["tasks"]] == ["a", "c"]
    assert "tags" not in changed["settings"]
    workspace.jobs.reset(job_id, {"name": "again", "tasks": [task("d")]}, workspace.developer)
    assert [item["task_key"] for item in workspace.jobs.get(job_id)["settings"]["tasks"]] == ["d"]
    workspace.delete_job(job_id, workspace.developer)
    with pytest.raises(DatabricksError, match=f"Job {job_id} does not exist."):
        workspace.jobs.get(job_id)


def test_tasks_run_after_what_they_depend_on(job: Any, task: Any, run: Any, drivers: Any) -> None:
    done = run(
        job(
            task("verify", "concepts", "windows"),
            task("windows", "generate"),
            task("concepts", "generate"),
            task("generate"),
        )
    )
    assert set(_results(done).values()) == {"SUCCESS"}
    assert drivers.began()[0] == "generate" and drivers.began()[-1] == "verify"
    assert done["state"] == {
        "life_cycle_state": "TERMINATED",
        "result_state": "SUCCESS",
        "state_message": "",
        "user_cancelled_or_timedout": False,
    }
    assert done["status"]["termination_details"]["code"] == "SUCCESS"


def test_tasks_that_do_not_depend_on_each_other_run_side_by_side(
    workspace: Workspace, job: Any, task: Any, drivers: Any, finished: Any
) -> None:
    for key in ("a", "b"):
        drivers.behaviour[key] = "wait"
    run_id = workspace.runs.run_now(job(task("a"), task("b")), workspace.developer)["run_id"]
    handles = [drivers.task("a"), drivers.task("b")]
    for handle in handles:
        handle.finish()
    finished(run_id)
    assert len(drivers.made) == 1, "they share the cluster's driver"


def test_a_failure_skips_what_depends_on_it_and_nothing_else(job: Any, task: Any, run: Any, drivers: Any) -> None:
    drivers.behaviour["a"] = ("FAILED", "ValueError: broken", "trace")
    done = run(job(task("a"), task("b", "a"), task("c", "b"), task("d")))
    assert _results(done) == {"a": "FAILED", "b": "UPSTREAM_FAILED", "c": "UPSTREAM_FAILED", "d": "SUCCESS"}
    assert done["state"]["life_cycle_state"] == "INTERNAL_ERROR"
    assert done["state"]["result_state"] == "FAILED"
    assert done["state"]["state_message"] == (
        "Task a failed with message: ValueError: broken. This caused all downstream tasks to get skipped."
    )
    assert done["status"] == {
        "state": "TERMINATED",
        "termination_details": {
            "code": "RUN_EXECUTION_ERROR",
            "type": "CLIENT_ERROR",
            "message": done["state"]["state_message"],
        },
    }


@pytest.mark.parametrize(
    ("run_if", "result", "whole"),
    [
        ("ALL_SUCCESS", "UPSTREAM_FAILED", "FAILED"),
        ("ALL_DONE", "SUCCESS", "SUCCESS_WITH_FAILURES"),
        ("AT_LEAST_ONE_SUCCESS", "SUCCESS", "SUCCESS_WITH_FAILURES"),
        ("NONE_FAILED", "UPSTREAM_FAILED", "FAILED"),
        ("AT_LEAST_ONE_FAILED", "SUCCESS", "SUCCESS_WITH_FAILURES"),
        ("ALL_FAILED", "EXCLUDED", "SUCCESS_WITH_FAILURES"),
    ],
)
def test_run_if_decides_what_runs_after_a_failure(
    job: Any, task: Any, run: Any, drivers: Any, run_if: str, result: str, whole: str
) -> None:
    drivers.behaviour["bad"] = ("FAILED", "no", "")
    done = run(job(task("bad"), task("good"), task("last", "bad", "good", run_if=run_if)))
    assert _results(done)["last"] == result
    assert done["state"]["result_state"] == whole


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


def test_only_the_chosen_tasks_run_and_the_others_hold_nobody_up(
    workspace: Workspace, job: Any, task: Any, run: Any
) -> None:
    job_id = job(
        task("generate"),
        task("concepts", "generate"),
        task("windows", "generate"),
        task("verify", "concepts", "windows"),
    )
    done = run(job_id, only=["generate", "concepts", "verify"])
    assert _results(done) == {"generate": "SUCCESS", "concepts": "SUCCESS", "verify": "SUCCESS"}
    with pytest.raises(DatabricksError, match="Task key 'nothing' does not exist in job"):
        workspace.runs.run_now(job_id, workspace.developer, {"only": ["nothing"]})


def test_job_parameters_reach_positional_parameters_by_reference_alone(
    job: Any, task: Any, run: Any, drivers: Any, workspace: Workspace
) -> None:
    wheel = {"package_name": "streaming_lab", "entry_point": "windows"}
    parameters = ["--size={{job.parameters.size}}", "--run={{job.run_id}}/{{task.name}}", "{{job.parameters.none}}"]
    job_id = job(
        task("windows", python_wheel_task={**wheel, "parameters": parameters}),
        parameters=[{"name": "size", "default": "1 hour"}, {"name": "scale", "default": "1"}],
    )
    first = run(job_id)
    second = run(job_id, job_parameters={"size": "2 hours"})
    assert drivers.tasks[0].spec.parameters == [
        "--size=1 hour",
        f"--run={first['run_id']}/windows",
        "{{job.parameters.none}}",
    ]
    assert drivers.tasks[1].spec.parameters[0] == "--size=2 hours"
    assert second["job_parameters"][0] == {"name": "size", "default": "1 hour", "value": "2 hours"}
    assert second["tasks"][0]["resolved_values"]["python_wheel_task"]["parameters"][0] == "--size=2 hours"
    with pytest.raises(
        DatabricksError, match="Job parameter 'sise' is not defined by the job: its parameters are size, scale"
    ):
        workspace.runs.run_now(job_id, workspace.developer, {"job_parameters": {"sise": "1"}})


def test_job_parameters_are_pushed_down_to_named_parameters_and_win(
    job: Any, task: Any, run: Any, drivers: Any
) -> None:
    wheel = {"package_name": "streaming_lab", "entry_point": "windows"}
    run(
        job(
            task(
                "windows",
                python_wheel_task={**wheel, "named_parameters": {"size": "own", "x": "{{job.parameters.size}}"}},
            ),
            parameters=[{"name": "size", "default": "1 hour"}],
        )
    )
    assert drivers.tasks[0].spec.parameters == ["--size=1 hour", "--x=1 hour"]


def test_a_notebook_runs_with_its_widgets(workspace: Workspace, job: Any, cluster: str, run: Any, drivers: Any) -> None:
    source = b"# Databricks notebook source\nprint(1)\n"
    workspace.files.write("/Shared/one", source, "SOURCE", "PYTHON")
    notebook = {"notebook_path": "/Shared/one", "base_parameters": {"a": "{{job.parameters.x}}", "b": "2"}}
    task = {"task_key": "one", "existing_cluster_id": cluster, "notebook_task": notebook}
    job_id = job(task, parameters=[{"name": "x", "default": "1"}])
    assert run(job_id)["state"]["result_state"] == "SUCCESS"
    spec = drivers.tasks[0].spec
    assert (spec.notebook, spec.widgets) == (source.decode(), {"a": "1", "b": "2", "x": "1"})
    workspace.files.delete("/Shared/one")
    assert run(job_id)["tasks"][0]["state"]["state_message"] == "Path (/Shared/one) doesn't exist."


def test_a_wheel_that_is_not_there_fails_the_task_in_the_services_words(job: Any, task: Any, run: Any) -> None:
    done = run(job(task("generate", libraries=[{"whl": "/Workspace/Shared/none-1-py3-none-any.whl"}])))
    assert done["tasks"][0]["state"]["state_message"].startswith(
        "Library installation failed for library due to user error. Error messages:"
    )
    assert done["tasks"][0]["status"]["termination_details"]["code"] == "LIBRARY_INSTALLATION_ERROR"
    done = run(job(task("generate", python_wheel_task={"package_name": "other", "entry_point": "x"})))
    assert done["tasks"][0]["state"]["state_message"] == (
        "Python wheel with name other could not be found. Please check the driver logs for more details"
    )


def test_a_running_cluster_keeps_the_wheel_that_it_knows_by_its_path(
    workspace: Workspace, job: Any, task: Any, run: Any, drivers: Any, wheel: str, cluster: str
) -> None:
    job_id = job(task("generate"))
    old = workspace.files.read(wheel)
    run(job_id)
    workspace.files.write(wheel, old + b" ", "RAW", overwrite=True)
    run(job_id)
    workspace.clusters.restart(cluster, workspace.developer)
    run(job_id)
    assert [handle.wheels[0] for handle in drivers.tasks] == [old, old, old + b" "]
    assert all(handle.spec.wheels[0].name == wheel.rsplit("/", 1)[-1] for handle in drivers.tasks)


def test_a_dedicated_cluster_runs_nobody_elses_code(
    workspace: Workspace, single_node: Body, job: Any, task: Any, run: Any
) -> None:
    workspace.people.create({"userName": "ada@example.com"})
    hers = workspace.clusters.create({**single_node, "single_user_name": "ada@example.com"}, workspace.developer)
    cluster = hers["cluster_id"]
    mine = run(job(task("generate", existing_cluster_id=cluster)))
    assert "Single-user check failed: user 'developer@" in mine["tasks"][0]["state"]["state_message"]
    job_id = job(task("generate", existing_cluster_id=cluster), run_as={"user_name": "ada@example.com"})
    assert "'Manage' permissions are required to install libraries" in run(job_id)["tasks"][0]["state"]["state_message"]
    entries = [{"user_name": "ada@example.com", "permission_level": "CAN_MANAGE"}]
    workspace.permissions.put("clusters", cluster, entries)
    assert run(job_id)["state"]["result_state"] == "SUCCESS"


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


def test_others_need_a_permission_to_start_or_change_a_job(workspace: Workspace, job: Any, task: Any) -> None:
    workspace.people.create({"userName": "ada@example.com"})
    ada = Caller("ada@example.com")
    job_id = job(task("a"))
    with pytest.raises(
        DatabricksError, match=f"does not have Manage Run or Admin or Owner permissions on job {job_id}"
    ):
        workspace.runs.run_now(job_id, ada)
    owner = {"user_name": workspace.developer.user_name, "permission_level": "IS_OWNER"}
    manager = {"user_name": "ada@example.com", "permission_level": "CAN_MANAGE_RUN"}
    with pytest.raises(DatabricksError, match=r"The job must have exactly one owner."):
        workspace.permissions.put("jobs", str(job_id), [manager])
    workspace.permissions.put("jobs", str(job_id), [owner, manager])
    assert workspace.runs.run_now(job_id, ada)["creator_user_name"] == "ada@example.com"
    with pytest.raises(DatabricksError, match="does not have Admin or Owner permissions"):
        workspace.delete_job(job_id, ada)
