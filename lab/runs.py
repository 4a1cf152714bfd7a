"""Runs of the lab's jobs: starting, following, and reading what they say."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lab.errors import LabError

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.jobs import BaseRun, Run, RunTask

TASKS = ("generate", "concepts", "windows", "publish", "event_hubs", "verify")
RESULT_MARK = "streaming-lab-result: "
RESULTS = {
    "SUCCESS": "done",
    "CANCELED": "canceled",
    "UPSTREAM_CANCELED": "canceled",
    "UPSTREAM_FAILED": "skipped",
    "EXCLUDED": "excluded",
}
FINAL = {"TERMINATED", "SKIPPED", "INTERNAL_ERROR"}
PROGRESS_SECONDS = 1.0


@dataclass
class TaskView:
    """One task of a run as people see it.

    state: waiting, running, done, failed, canceled or skipped
    started_ms: when it started, in milliseconds since 1970; 0 when it has not
    progress: what the task last uploaded (see the jobs' progress file), or empty
    """

    key: str
    run_id: int
    state: str
    started_ms: int
    progress: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        mark = {"done": "✓", "failed": "✗", "running": "…", "canceled": "■"}.get(self.state, "·")
        if self.state != "running" or not self.progress:
            return f"{self.key} {mark}"
        queries = self.progress.get("queries") or []
        rate = sum(float(query.get("rows_per_second") or 0) for query in queries)
        marks = [str(query["watermark"]) for query in queries if query.get("watermark")]
        watermark = f", watermark {min(marks)[:19].replace('T', ' ')}" if marks else ""
        dropped = sum(int(query.get("dropped") or 0) for query in queries)
        late = f", {dropped:,} late groups dropped" if dropped else ""
        return f"{self.key} {rate:,.0f} rows/s{watermark}{late}"

    @property
    def query_lines(self) -> list[str]:
        """One line for each active query of the task; one for the task itself while it has none."""
        lines = []
        for query in self.progress.get("queries") or []:
            if query.get("active"):
                watermark = str(query.get("watermark") or "")[:19].replace("T", " ")
                parts = [
                    f"{query['name']:<22}{float(query.get('rows_per_second') or 0):>8,.0f} rows/s",
                    *([f"watermark {watermark}"] if watermark else []),
                    *([f"{int(query['dropped']):,} late groups dropped"] if query.get("dropped") else []),
                ]
                lines.append("  ".join(parts))
        return lines or [str(self)]


class Workspace:
    """The few calls to a Databricks workspace that the lab's jobs need.

    client: databricks-sdk's client; outputs: the stack's outputs; poll_seconds: pause between two looks at a run
    """

    def __init__(self, client: WorkspaceClient, outputs: dict[str, Any], poll_seconds: float):
        self.client = client
        self.outputs = outputs
        self.poll_seconds = poll_seconds
        self.control = str(outputs["control"])
        self.exercises_job = int(outputs["exercisesJobId"])
        self.live_job = int(outputs["liveJobId"])

    def active(self, job_id: int) -> list[int]:
        """The ids of the job's runs that have not ended, newest first."""
        return [int(run.run_id or 0) for run in self.client.jobs.list_runs(job_id=job_id, active_only=True)]

    def run(self, run_id: int) -> Run:
        """One run with its tasks."""
        return self.client.jobs.get_run(run_id)

    def start(self, tasks: list[str] | None, parameters: dict[str, str]) -> int:
        """Start the exercises job: all tasks, or these only; returns the run's id."""
        waiter = self.client.jobs.run_now(self.exercises_job, only=tasks, job_parameters=parameters or None)
        return int(waiter.run_id or 0)

    def follow(self, run_id: int, show: Callable[[list[TaskView]], None], dataset: str = "exercises") -> Run:
        """Wait for a run to end, showing its tasks at every look."""
        progress: dict[str, dict[str, Any]] = {}
        looked = 0.0
        while True:
            run = self.run(run_id)
            views = self.views(run)
            ended = life_cycle(run) in FINAL
            if ended or time.monotonic() - looked > PROGRESS_SECONDS:
                looked = time.monotonic()
                # At the end all of them: a task may begin and end between two looks.
                progress |= {
                    view.key: self.progress(dataset, view) for view in views if ended or view.state == "running"
                }
            for view in views:
                view.progress = progress.get(view.key, {})
            show(views)
            if ended:
                return run
            time.sleep(self.poll_seconds)

    def views(self, run: Run) -> list[TaskView]:
        """The run's tasks in the order of the exercises; a task left out of the run is not among them."""
        views = [
            TaskView(task.task_key, int(task.run_id or 0), _task_state(task), int(task.start_time or 0))
            for task in run.tasks or []
        ]
        order = {key: at for at, key in enumerate(TASKS)}
        return sorted((view for view in views if view.state != "excluded"), key=lambda view: order.get(view.key, 99))

    def progress(self, dataset: str, task: TaskView) -> dict[str, Any]:
        """What a task told last about its queries since it started; empty before it told anything."""
        from databricks.sdk.errors.base import DatabricksError

        try:
            with self.client.workspace.download(f"{self.control}/progress/{dataset}-{task.key}.json") as file:
                told = dict(json.loads(file.read()))
            updated = datetime.fromisoformat(told["updated_at"])
        except (DatabricksError, ValueError, TypeError, KeyError):
            return {}
        # The file of an earlier run stays until this one tells something.
        return told if 0 < task.started_ms <= updated.timestamp() * 1000 else {}

    def result(self, task_run_id: int) -> dict[str, Any] | None:
        """The machine-readable line that a task printed last, or None."""
        logs = self.client.jobs.get_run_output(task_run_id).logs or ""
        lines = [line for line in logs.splitlines() if line.startswith(RESULT_MARK)]
        return dict(json.loads(lines[-1].removeprefix(RESULT_MARK))) if lines else None

    def failure(self, run: Run) -> LabError | None:
        """Why a run did not succeed, in the words of the first task that failed on its own; None when it did."""
        for view in self.views(run):
            if view.state == "failed":
                output = self.client.jobs.get_run_output(view.run_id)
                lines = [line for line in (output.error or "").splitlines() if line.strip()]
                message = lines[0].strip() if lines else "it failed without a reason"
                advice = "Run lab run again: it goes on from the last checkpoint."
                return LabError(view.key, message, advice, detail=output.error_trace or output.logs or "")
        if life_cycle(run) == "TERMINATED" and result_of(run.state) == "SUCCESS":
            return None
        message = ((run.state and run.state.state_message) or result_of(run.state) or life_cycle(run)).strip()
        return LabError("run", f"run {run.run_id} ended without success: {message}", "Run lab run again.")

    def streams(self) -> Iterator[dict[str, Any]]:
        """Each active query of the running tasks of both jobs, with its `dataset` and `task`."""
        for dataset, job in (("exercises", self.exercises_job), ("live", self.live_job)):
            for run_id in self.active(job):
                for view in self.views(self.run(run_id)):
                    if view.state == "running":
                        progress = self.progress(dataset, view)
                        for query in progress.get("queries") or []:
                            if query.get("active"):
                                yield {"dataset": dataset, "task": view.key, **query}


def life_cycle(run: Run | BaseRun) -> str:
    """A run's life cycle state, for example RUNNING or TERMINATED."""
    state = run.state and run.state.life_cycle_state
    return state.value if state else "PENDING"


def result_of(state: Any) -> str:
    """A run's or task's result, for example SUCCESS; empty while there is none."""
    result = state and state.result_state
    return result.value if result else ""


def _task_state(task: RunTask) -> str:
    state = task.state
    if state is None or state.life_cycle_state is None:
        return "waiting"
    cycle, result = state.life_cycle_state.value, result_of(state)
    if cycle not in FINAL:
        return "running" if cycle == "RUNNING" else "waiting"
    return RESULTS.get(result, "skipped" if cycle == "SKIPPED" else "failed")
