"""Running the exercises, proving their numbers, showing their tables."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.errors import Interrupted, LabError
from lab.report import Report
from lab.runs import TASKS, TaskView, Workspace

if TYPE_CHECKING:
    from databricks.sdk.service.jobs import Run

EXERCISES = ("concepts", "windows", "event_hubs")
# `lab show EXERCISE` shows the table that the exercise ends in.
ENDS_IN = {"concepts": "activity", "windows": "windows_tumbling", "event_hubs": "hub_events"}
TABLES = (
    "activity",
    "activity_quarantine",
    "windows_tumbling",
    "windows_sliding",
    "windows_quarantine",
    "hub_events",
    "hub_events_quarantine",
)


@dataclass(frozen=True)
class Outcome:
    """How a run of the exercises ended: its tasks, the link to the Spark UI, the ledger."""

    tasks: list[TaskView]
    spark_ui: str
    ledger: dict[str, Any]


def chosen(names: Sequence[str], others: str = "") -> list[str]:
    """The exercises asked for, in the order of the course; all when none is named.

    others: what else could have been asked for, for the sentence that refuses a name
    """
    for name in names:
        if name not in EXERCISES:
            known = ", ".join(EXERCISES) + others
            raise LabError("argument", f"{name} is not an exercise: choose among {known}", code=2)
    return [name for name in EXERCISES if not names or name in names]


def table_of(name: str) -> str:
    """The table with this name, or the one that the exercise with this name ends in."""
    table = ENDS_IN.get(name, name)
    if table not in TABLES:
        raise LabError("show", f"{name} is not a table: choose among {', '.join(TABLES)}", code=2)
    return table


def tasks_of(exercises: Sequence[str]) -> list[str] | None:
    """The job's tasks that these exercises need; None for the whole job."""
    if len(exercises) == len(EXERCISES):
        return None
    needed = {"generate", "verify", *exercises, *(["publish"] if "event_hubs" in exercises else [])}
    return [task for task in TASKS if task in needed]


def settings(scale: float | None, size: str | None, slide: str | None, watermark: str | None) -> dict[str, str]:
    """The job parameters that were given; raises LabError for one that is no length of time."""
    lengths = {"size": size, "slide": slide, "watermark": watermark}
    given = {name: text for name, text in lengths.items() if text is not None}
    for name, text in given.items():
        if not re.fullmatch(r"[1-9]\d{0,5} (second|minute|hour|day)s?", text):
            raise LabError(f"--{name}", f"{text} is not a length of time such as '15 minutes' or '1 hour'", code=2)
    return given if scale is None else {**given, "scale": f"{scale:g}"}


def run(workspace: Workspace, exercises: Sequence[str], given: Mapping[str, str], report: Report) -> Outcome:
    """Run exercises and follow them to the end; raises LabError with the first task's failure.

    given: the job parameters that differ from their defaults, see `settings`. A run that is under way with the same
    tasks and parameters is followed instead; another one is waited for.
    """
    tasks = tasks_of(exercises)
    parameters = {"exercises": ",".join(exercises), **given}
    run_id = _join(workspace, tasks or list(TASKS), parameters, report)
    if run_id is None:
        report.now("starting")
        run_id = workspace.start(tasks, parameters)
    ended, link = _follow(workspace, run_id, report)
    return Outcome(workspace.views(ended), link, _ledger(workspace, ended))


def verify(workspace: Workspace, exercises: Sequence[str], report: Report) -> dict[str, Any]:
    """Measure every term of the ledger anew; returns verify's result, whether it is ok or not."""
    parameters = {"exercises": ",".join(exercises)}
    run_id = _join(workspace, ["verify"], parameters, report) or workspace.start(["verify"], parameters)
    ended, _ = _follow(workspace, run_id, report)
    return _ledger(workspace, ended)


def show(workspace: Workspace, table: str, limit: int, report: Report) -> dict[str, Any]:
    """The first `limit` rows of a table: `table`, `columns`, `rows`, `total`."""
    from databricks.sdk.service.compute import Library
    from databricks.sdk.service.jobs import JobRunAs, PythonWheelTask, SubmitTask

    outputs = workspace.outputs
    parameters = {"root": str(outputs["root"]), "table": table, "limit": str(limit)}
    task = SubmitTask(
        task_key="show",
        existing_cluster_id=str(outputs["clusterId"]),
        libraries=[Library(whl=str(outputs["wheel"]))],
        python_wheel_task=PythonWheelTask("streaming_lab", "show", named_parameters=parameters),
    )
    report.now("asking the cluster")
    # A dedicated cluster runs one person's code alone; a service principal's name is no address.
    person = str(outputs["runAs"])
    run_as = JobRunAs(user_name=person) if "@" in person else JobRunAs(service_principal_name=person)
    waiter = workspace.client.jobs.submit(run_name=f"show {table}", tasks=[task], run_as=run_as)
    ended = workspace.follow(int(waiter.run_id or 0), lambda views: None)
    failure = workspace.failure(ended)
    if failure:
        raise LabError("show", failure.message, "Run lab run first, or lab status to see what there is.")
    result = workspace.result(workspace.views(ended)[0].run_id)
    if result is None:
        raise LabError("show", f"the cluster said nothing about {table}", "Run it again.")
    return result


def problems(ledger: dict[str, Any]) -> list[str]:
    """One sentence for each difference in a ledger, with the exercise's name first."""
    found = []
    for exercise in ledger.get("exercises", []):
        said = [str(problem) for problem in exercise.get("problems") or []]
        if not said and exercise.get("remainder"):
            said = [f"remainder {exercise['remainder']:,}"]
        found += [f"{exercise['name']}: {problem}" for problem in said]
    return found


def _join(workspace: Workspace, tasks: list[str], parameters: dict[str, str], report: Report) -> int | None:
    """The run under way that does what is asked, if there is one; waits for the end of any other."""
    while active := workspace.active(workspace.exercises_job):
        under_way = workspace.run(active[-1])
        theirs = {one.name: one.value for one in under_way.job_parameters or []}
        same_tasks = [view.key for view in workspace.views(under_way)] == tasks
        if same_tasks and all(theirs.get(key, value) == value for key, value in parameters.items()):
            report.line("following", f"run {under_way.run_id}, which is under way with the same tasks")
            return int(under_way.run_id or 0)
        report.line("waiting", f"run {under_way.run_id} is under way with other tasks; this one starts after it")
        workspace.follow(int(under_way.run_id or 0), lambda views: report.now("  ".join(map(str, views))))
    return None


def _follow(workspace: Workspace, run_id: int, report: Report) -> tuple[Run, str]:
    link = ""

    def show(views: list[TaskView]) -> None:
        nonlocal link
        link = next((str(view.progress["spark_ui"]) for view in views if view.progress.get("spark_ui")), link)
        report.now("  ".join(map(str, views)) + (f"  Spark UI {link}" if link else ""))

    try:
        return workspace.follow(run_id, show), link
    except KeyboardInterrupt:
        raise Interrupted(
            "run", f"run {run_id} goes on in the workspace", "lab run follows it again, lab stop stops it."
        ) from None


def _ledger(workspace: Workspace, ended: Run) -> dict[str, Any]:
    """Verify's result; a run in which another task failed, or verify said nothing, raises LabError."""
    failure = workspace.failure(ended)
    if failure is not None and failure.what != "verify":
        raise failure
    view = next(view for view in workspace.views(ended) if view.key == "verify")
    ledger = workspace.result(view.run_id)
    if ledger is None:
        raise failure or LabError("verify", "it printed no ledger", "Run lab verify again.")
    return ledger


def live(workspace: Workspace, report: Report) -> None:
    """Start the live job and follow it until it is paused (`lab stop`), or until Ctrl-C, after which it goes on."""
    from databricks.sdk.service.jobs import PauseStatus

    from lab.streams import live_status, set_live

    def show(views: list[TaskView]) -> None:
        report.now("\n".join(line for view in views for line in view.query_lines))

    set_live(workspace, PauseStatus.UNPAUSED)
    try:
        while (runs := workspace.active(workspace.live_job)) or live_status(workspace) != PauseStatus.PAUSED:
            for run_id in runs:
                failure = workspace.failure(workspace.follow(run_id, show, "live"))
                if failure and live_status(workspace) != PauseStatus.PAUSED:
                    report.line("live", f"{failure}; the workspace starts it again")
            time.sleep(workspace.poll_seconds)
    except KeyboardInterrupt:
        raise Interrupted(
            "live", "the live job goes on in the workspace", "lab streams shows it, lab stop stops it."
        ) from None
