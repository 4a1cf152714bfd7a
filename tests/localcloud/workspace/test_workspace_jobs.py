"""Jobs and their tasks: what is refused, in which order tasks run, and what they are given."""

from typing import Any

import pytest

from localcloud.errors import DatabricksError
from localcloud.workspace import Caller, Workspace

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
    workspace.permissions.put("clusters", cluster, entries, workspace.developer)
    assert run(job_id)["state"]["result_state"] == "SUCCESS"


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
        workspace.permissions.put("jobs", str(job_id), [manager], workspace.developer)
    workspace.permissions.put("jobs", str(job_id), [owner, manager], workspace.developer)
    assert workspace.runs.run_now(job_id, ada)["creator_user_name"] == "ada@example.com"
    with pytest.raises(DatabricksError, match="does not have Admin or Owner permissions"):
        workspace.delete_job(job_id, ada)
