"""`lab status`: what there is, from the stack's record and from the cloud's own view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.clouds import Cloud
from lab.errors import LabError
from lab.leftovers import leftovers, names_of
from lab.overrides import current_config
from lab.project import Project
from lab.report import Report
from lab.state import State, read

if TYPE_CHECKING:
    from lab.runs import Workspace

RUNS_SHOWN = 5


def overview(project: Project, cloud: Cloud, student: str, report: Report) -> dict[str, Any]:
    """What exists of a student.

    `up`: whether the last `up` was complete; `recorded`: how many resources the stack has; `resources`: ids that
    the cloud shows; `outputs`: the stack's; `cluster`: id and state, or null; `runs`: the last ones, newest first;
    `disk_bytes`: what the cloud takes of this machine's disk, or null.
    """
    told: dict[str, Any] = {"cloud": cloud.name, "student": student, "up": False, "recorded": 0}
    told |= {"resources": [], "outputs": {}, "cluster": None, "runs": [], "disk_bytes": cloud.size()}
    if not cloud.in_use():
        return told
    cloud.prepare(report)
    state = read(project, cloud, student)
    arm = cloud.arm()
    names = names_of(student, state, current_config(project, cloud, student).of(project.name), arm.subscription)
    report.now("asking the cloud")
    told["resources"] = leftovers(arm, names)
    if state is None:
        return told
    told["recorded"] = len(state.own)
    told["up"] = bool(state.outputs) and not state.pending
    told["outputs"] = state.outputs
    if state.outputs.get("workspaceUrl"):
        told |= _workspace(cloud, state)
    return told


def workspace_of(project: Project, cloud: Cloud, student: str, report: Report) -> Workspace:
    """The student's workspace; raises LabError when there is none yet."""
    from lab.runs import Workspace

    missing = LabError("lab", f"student {student} has no lab on {cloud.title}", "Run lab up first.")
    if not cloud.in_use():
        raise missing
    cloud.prepare(report)
    state = read(project, cloud, student)
    if state is None or not state.own:
        raise missing
    if "exercisesJobId" not in state.outputs:
        raise LabError("lab", f"the lab of student {student} is not complete", "Run lab up, which finishes it.")
    return Workspace(cloud.workspace(state.outputs), state.outputs, cloud.poll_seconds)


def _workspace(cloud: Cloud, state: State) -> dict[str, Any]:
    from databricks.sdk.errors.base import DatabricksError

    from lab.runs import Workspace, life_cycle, result_of

    try:
        workspace = Workspace(cloud.workspace(state.outputs), state.outputs, cloud.poll_seconds)
        cluster = workspace.client.clusters.get(str(state.outputs["clusterId"]))
        runs = []
        for name, job in (("exercises", workspace.exercises_job), ("live", workspace.live_job)):
            for at, run in enumerate(workspace.client.jobs.list_runs(job_id=job, limit=RUNS_SHOWN)):
                if at == RUNS_SHOWN:
                    break
                runs.append(
                    {
                        "job": name,
                        "run_id": run.run_id,
                        "state": result_of(run.state) or life_cycle(run),
                        "started_ms": run.start_time,
                        "ended_ms": run.end_time or None,
                    }
                )
    except (DatabricksError, LabError, KeyError):
        # A half-made lab: the cloud's view above says what is there.
        return {}
    runs.sort(key=lambda run: -int(run["started_ms"] or 0))
    state_name = cluster.state.value if cluster.state else "UNKNOWN"
    return {"cluster": {"id": cluster.cluster_id, "state": state_name}, "runs": runs}
