"""What a job may look like: the rules by which Databricks refuses its settings."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from localcloud.workspace import fields, quartz
from localcloud.workspace.errors import invalid, unsupported
from localcloud.workspace.shelf import Record

_JOB_FIELDS: fields.Types = {
    "name": str, "description": str, "tags": dict, "tasks": list, "parameters": list, "schedule": dict,
    "continuous": dict, "max_concurrent_runs": int, "queue": dict, "timeout_seconds": int, "run_as": dict,
    "format": str, "edit_mode": str, "email_notifications": dict, "notification_settings": dict, "health": dict,
    "performance_target": str,
}  # fmt: skip
_TASK_FIELDS: fields.Types = {
    "task_key": str, "description": str, "depends_on": list, "run_if": str, "existing_cluster_id": str,
    "libraries": list, "max_retries": int, "min_retry_interval_millis": int, "retry_on_timeout": bool,
    "timeout_seconds": int, "python_wheel_task": dict, "notebook_task": dict, "email_notifications": dict,
    "notification_settings": dict, "disable_auto_optimization": bool, "disabled": bool, "health": dict,
}  # fmt: skip
_KINDS = ("python_wheel_task", "notebook_task")
RUN_IF = ("ALL_SUCCESS", "AT_LEAST_ONE_SUCCESS", "NONE_FAILED", "ALL_DONE", "AT_LEAST_ONE_FAILED", "ALL_FAILED")
_PAUSE = ("PAUSED", "UNPAUSED")
_MAX_CONCURRENT = 1000
_MAX_TASKS = 1000


def check(settings: Record, has_user: Callable[[str], bool], has_cluster: Callable[[str], bool]) -> Record:
    """The settings with the service's defaults; refuses what it would refuse.

    has_user, has_cluster: whether one with this name or id exists; a preview can't know and says yes.
    """
    _only(settings, _JOB_FIELDS, "Job setting")
    settings = {"name": "Untitled", "max_concurrent_runs": 1, "format": "MULTI_TASK", "timeout_seconds": 0, **settings}
    settings.setdefault("email_notifications", {})
    runs = settings["max_concurrent_runs"]
    if not 0 <= runs <= _MAX_CONCURRENT:
        raise invalid(f"max_concurrent_runs must be between 0 and {_MAX_CONCURRENT}, not {runs}.")
    _check_parameters(settings.get("parameters") or [])
    settings["tasks"] = check_tasks(settings.get("tasks") or [], has_cluster)
    if settings.get("schedule") and settings.get("continuous"):
        raise invalid("A job cannot have both a schedule and continuous.")
    if settings.get("schedule"):
        settings["schedule"] = _check_schedule(settings["schedule"])
    if settings.get("continuous"):
        settings["continuous"] = _check_continuous(settings)
    user = (settings.get("run_as") or {}).get("user_name")
    if settings.get("run_as") and (not user or not has_user(user)):
        raise invalid(f"run_as: user {user} does not exist in this workspace.")
    return settings


def check_tasks(tasks: list[Record], has_cluster: Callable[[str], bool]) -> list[Record]:
    """The tasks with defaults, each `depends_on` sorted; refuses wrong tasks and wrong graphs."""
    if not 1 <= len(tasks) <= _MAX_TASKS:
        raise invalid(f"A job must have between 1 and {_MAX_TASKS} tasks, not {len(tasks)}.")
    keys = [task.get("task_key") for task in tasks]
    for key in keys:
        if not isinstance(key, str) or not re.fullmatch(r"[\w-]{1,100}", key, re.ASCII):
            raise invalid(f"task_key {key!r} must have 1 to 100 characters out of letters, digits, '-' and '_'.")
        if keys.count(key) > 1:
            raise invalid(f"Task key '{key}' is not unique.")
    checked = [_check_task(task, has_cluster) for task in tasks]
    _check_graph({task["task_key"]: [item["task_key"] for item in task.get("depends_on", [])] for task in checked})
    return checked


def _check_task(task: Record, has_cluster: Callable[[str], bool]) -> Record:
    key = task["task_key"]
    _only(task, _TASK_FIELDS, f"Task '{key}': field")
    kinds = [kind for kind in _KINDS if task.get(kind) is not None]
    if len(kinds) != 1:
        raise invalid(f"Task '{key}' must specify exactly one of {' and '.join(_KINDS)}.")
    cluster = task.get("existing_cluster_id")
    if not cluster:
        raise invalid(f"Task '{key}' must specify existing_cluster_id.")
    if not has_cluster(cluster):
        raise invalid(f"Cluster {cluster} does not exist")
    if task.get("run_if", "ALL_SUCCESS") not in RUN_IF:
        raise invalid(f"Task '{key}': run_if '{task['run_if']}' is none of {', '.join(RUN_IF)}.")
    if task.get("max_retries", 0) < -1:
        raise invalid(f"Task '{key}': max_retries must be -1 (no limit), 0 or more, not {task['max_retries']}.")
    for library in task.get("libraries") or []:
        if list(library) != ["whl"] or not str(library["whl"]).endswith(".whl"):
            raise unsupported(f"Task '{key}': library {library}, other than a whl file of the workspace,")
    if kinds == ["python_wheel_task"]:
        _check_wheel(key, task["python_wheel_task"])
    else:
        _check_notebook(key, task["notebook_task"])
    task = {"run_if": "ALL_SUCCESS", "timeout_seconds": 0, "email_notifications": {}, **task}
    if task.get("depends_on"):
        # The service keeps the order no better than a set's.
        task["depends_on"] = sorted(task["depends_on"], key=lambda item: str(item["task_key"]))
    return task


def _check_wheel(key: str, wheel: Record) -> None:
    for name in ("package_name", "entry_point"):
        if not wheel.get(name):
            raise invalid(f"Task '{key}': python_wheel_task must have '{name}'.")
    if wheel.get("parameters") and wheel.get("named_parameters"):
        raise invalid(f"Task '{key}': python_wheel_task takes either parameters or named_parameters, not both.")
    texts: Iterable[Any] = [*(wheel.get("parameters") or []), *(wheel.get("named_parameters") or {}).values()]
    if not all(isinstance(text, str) for text in texts):
        raise invalid(f"Task '{key}': the parameters of a python_wheel_task must be strings.")


def _check_notebook(key: str, notebook: Record) -> None:
    if not str(notebook.get("notebook_path") or "").startswith("/"):
        raise invalid(f"Task '{key}': notebook_path must be an absolute path of the workspace.")
    if notebook.get("source") not in (None, "WORKSPACE"):
        raise unsupported(f"Task '{key}': notebook source {notebook['source']}")


def _check_graph(depends: dict[str, list[str]]) -> None:
    for key, above in depends.items():
        if key in above:
            raise invalid(f"Invalid dependency graph, task '{key}' can not reference itself.")
        for other in above:
            if other not in depends:
                raise invalid(f"Invalid dependency graph, task '{key}' depends on unknown task '{other}'.")
    left = dict(depends)
    while left:
        free = [key for key, above in left.items() if not set(above) & set(left)]
        if not free:
            raise invalid(f"Invalid dependency graph, tasks {', '.join(sorted(left))} form a cycle.")
        for key in free:
            del left[key]


def _check_parameters(parameters: list[Record]) -> None:
    names = [parameter.get("name") for parameter in parameters]
    for name in names:
        if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+", name, re.ASCII):
            raise invalid(f"Job parameter {name!r} must be made of letters, digits, '_', '-' and '.'.")
        if names.count(name) > 1:
            raise invalid(f"Job parameter '{name}' is not unique.")
    for parameter in parameters:
        if not isinstance(parameter.get("default"), str):
            raise invalid(f"Job parameter '{parameter['name']}' must have a string as default.")


def _check_schedule(schedule: Record) -> Record:
    expression = schedule.get("quartz_cron_expression") or ""
    zone = schedule.get("timezone_id")
    if not zone:
        raise invalid("A schedule must have a timezone_id.")
    try:
        quartz.time_zone(zone)
    except quartz.QuartzError as problem:
        raise invalid(f"Invalid timezone_id: {zone}. {problem}") from None
    try:
        quartz.parse(expression, zone)
    except quartz.QuartzError as problem:
        raise invalid(f"Invalid quartz_cron_expression: {expression}. {problem}") from None
    _check_pause(schedule)
    return {"pause_status": "UNPAUSED", **schedule}


def _check_continuous(settings: Record) -> Record:
    continuous: Record = settings["continuous"]
    _check_pause(continuous)
    if settings["max_concurrent_runs"] != 1:
        raise invalid("A continuous job must have max_concurrent_runs 1.")
    mode = continuous.get("task_retry_mode", "NEVER")
    if mode not in ("NEVER", "ON_FAILURE"):
        raise invalid(f"continuous.task_retry_mode '{mode}' is none of NEVER, ON_FAILURE.")
    for task in settings["tasks"]:
        if task.get("depends_on"):
            raise invalid(
                f"Continuous jobs do not support task dependencies: task '{task['task_key']}' has depends_on."
            )
        if task.get("max_retries"):
            raise invalid(f"Continuous jobs do not support retry policies: task '{task['task_key']}' has max_retries.")
    return {"pause_status": "UNPAUSED", **continuous}


def _check_pause(trigger: Record) -> None:
    if trigger.get("pause_status", "UNPAUSED") not in _PAUSE:
        raise invalid(f"pause_status '{trigger['pause_status']}' is none of {', '.join(_PAUSE)}.")


def _only(values: Record, known: fields.Types, what: str) -> None:
    for name, value in values.items():
        if name not in known and value not in (None, [], {}):
            raise unsupported(f"{what} '{name}'")
    fields.check(values, known, what)
