"""Dynamic value references: `{{job.parameters.x}}` and its like in the parameters of a task."""

import re

from localcloud.workspace.shelf import Record

_REFERENCE = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")


def values(run: Record, task: Record) -> dict[str, str]:
    """What can be referred to, by name."""
    known = {
        "job.id": run["job_id"],
        "job.run_id": run["run_id"],
        "job.name": run["run_name"],
        "job.trigger.type": run["trigger"].lower(),
        "task.name": task["task_key"],
        "task.run_id": task["run_id"],
    }
    for parameter in run["job_parameters"]:
        known[f"job.parameters.{parameter['name']}"] = parameter.get("value", parameter["default"])
    return {name: str(value) for name, value in known.items()}


def resolve(text: str, known: dict[str, str]) -> str:
    """The text with references replaced; unknown ones stay, as on Databricks."""
    return _REFERENCE.sub(lambda match: known.get(match[1], match[0]), text)


def resolved_task(run: Record, task: Record) -> Record:
    """The task's own parameters as the run passes them on: `{"python_wheel_task": …}` or `{"notebook_task": …}`.

    Job parameters are also pushed down to a task that takes key-value parameters (a notebook, a wheel with
    named_parameters), and win over the task's own of the same name (MS Learn, jobs/job-parameters).
    """
    known = values(run, task)
    pushed = {item["name"]: known[f"job.parameters.{item['name']}"] for item in run["job_parameters"]}
    if "notebook_task" in task:
        own = task["notebook_task"].get("base_parameters") or {}
        return {"notebook_task": {"base_parameters": {key: resolve(text, known) for key, text in own.items()} | pushed}}
    wheel = task["python_wheel_task"]
    if wheel.get("named_parameters"):
        named = {key: resolve(text, known) for key, text in wheel["named_parameters"].items()}
        return {"python_wheel_task": {"named_parameters": named | pushed}}
    return {"python_wheel_task": {"parameters": [resolve(text, known) for text in wheel.get("parameters") or []]}}


def arguments(resolved: Record) -> list[str]:
    """The command line of a wheel task."""
    wheel = resolved["python_wheel_task"]
    if "named_parameters" in wheel:
        return [f"--{key}={value}" for key, value in wheel["named_parameters"].items()]
    return list(wheel["parameters"])
