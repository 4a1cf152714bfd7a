"""Making a student's lab and taking it down."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lab import after_up
from lab.clouds import Cloud
from lab.errors import Interrupted, LabError
from lab.kept import data_of, keep
from lab.leftovers import delete_metastore_objects, delete_remaining, leftovers, names_of
from lab.locks import held
from lab.overrides import current_config, keep_overrides, kept_overrides
from lab.program import preload
from lab.project import Project, StackConfig, ensure_usable, stack_config, text, validate
from lab.recovery import finish_interrupted, forget_lost_workspace
from lab.report import Report
from lab.state import State, read

if TYPE_CHECKING:
    from lab.engine import Engine, UpResult

# How long `down` lets running queries finish their batch, in seconds: what they write is deleted anyway.
PATIENCE_SECONDS = 20.0

# Keys of the configuration, and outputs of the same name.
FIXED = ("location", "noPublicIp")


@dataclass(frozen=True)
class DownResult:
    """What `down` did.

    deleted: resources that it deleted; leftovers: what the cloud still shows of this student;
    unreachable: what Databricks may still have, because the workspace to delete it through was gone already;
    kept: where the data is now, if some was to be kept; stopped: whether the local cloud was stopped, being empty
    """

    deleted: int
    leftovers: list[str]
    unreachable: list[str]
    kept: Path | None
    stopped: bool


def up(
    project: Project,
    cloud: Cloud,
    student: str,
    given: Sequence[str],
    report: Report,
    *,
    latencies: float | None = None,
) -> UpResult:
    """Make the lab, or bring it up to date, or finish what an interrupted `up` began.

    latencies: from now on, creations and deletions take so many times as long as on Azure (on the local cloud alone)
    """
    kept = kept_overrides(cloud, student)
    config = stack_config(project, student, kept, given)
    validate(project, config)
    ensure_usable(project.state)
    preload(project.root)
    from lab.engine import Engine

    engine = Engine(project, cloud, student)
    with held(engine.lock, "lab up", report):
        cloud.prepare(report)
        if latencies is not None:
            cloud.rehearse(latencies)
        state = engine.state()
        _refuse_change(project, config, state)
        _refuse_past_budget(project, config, state)
        keep_overrides(cloud, student, config.overrides)
        try:
            prepare_stack(engine, config, report)
            _adopt(engine, cloud, report)
            return _up(engine, cloud, report)
        except Interrupted:
            raise
        except Exception:
            # A value that the cloud refused must not stand in the next one's way; an interrupted `up` goes on with it.
            keep_overrides(cloud, student, kept)
            raise


def _up(engine: Engine, cloud: Cloud, report: Report) -> UpResult:
    """Run the engine; whatever became of it, leave no machine running that nobody asked for."""
    try:
        done = _run_program(engine, cloud, report)
    finally:
        if after_up.CLUSTER in engine.created and (state := engine.state()) is not None:
            after_up.stop_cluster(cloud, state, report)
    after_up.renew_code(cloud, done.outputs, report)
    return done


def _run_program(engine: Engine, cloud: Cloud, report: Report) -> UpResult:
    """Run the program, once more if the first run met resources of this lab that its record lacked."""
    try:
        return engine.up(report)
    except Interrupted:
        raise
    except LabError as failure:
        try:
            adopted = _adopt(engine, cloud, report)
        except Interrupted:
            raise
        except Exception:
            # A cloud that doesn't answer is asked by the next `up`; what matters now is the first failure.
            raise failure from None
        if not adopted:
            raise
    return engine.up(report)


def _adopt(engine: Engine, cloud: Cloud, report: Report) -> int:
    """Take into the record what the cloud has from creates whose outcome is unknown; returns how many resources."""
    state = engine.state()
    return finish_interrupted(engine, cloud, state, report) if state is not None else 0


def _refuse_change(project: Project, config: StackConfig, state: State | None) -> None:
    """Refuse another value of what stays as it is while a lab exists: Azure would fail half-way, or replace it all."""
    made, asked = state.outputs if state else {}, config.of(project.name)
    for key in FIXED:
        if key in made and text(made[key]) != asked.get(key):
            raise LabError(
                f"config {project.name}:{key}",
                f"it is {asked.get(key)}, but this lab has {text(made[key])}, and it is fixed while a lab exists",
                "Set it back, or run lab down first. Nothing was changed.",
            )


def _refuse_past_budget(project: Project, config: StackConfig, state: State | None) -> None:
    """Refuse a new budget that starts before this month: Azure would, after most of the lab has been created.

    A budget keeps the start that it was created with, so an older lab may have one in the past.
    """
    start = config.of(project.name).get("budgetStart")
    month = datetime.now(UTC).date().replace(day=1).isoformat()
    budgets = [one for one in (state.own if state else []) if one["type"] == "azure-native:consumption:Budget"]
    exists = any(str(one["inputs"].get("timePeriod", {}).get("startDate")).startswith(str(start)) for one in budgets)
    if start and start < month and not exists:
        raise LabError(
            f"config {project.name}:budgetStart",
            f"it is {start}, and a new budget cannot start before this month, {month}",
            "Set it to the first day of this month or a later one, or leave it empty. Nothing was changed.",
        )


def prepare_stack(engine: Engine, config: StackConfig, report: Report) -> None:
    """Write the stack's configuration, free it from dead engines, and make it where there is none."""
    engine.write_config(config)
    engine.cancel_stale_lock(report)
    engine.create_stack()


def down(project: Project, cloud: Cloud, student: str, *, keep_data: bool, report: Report) -> DownResult:
    """Delete everything of a student, and ask the cloud itself what is left."""
    if not cloud.in_use() and read(project, cloud, student) is None:
        return DownResult(0, [], [], None, False)
    from lab.engine import Engine

    engine = Engine(project, cloud, student)
    with held(engine.lock, "lab down", report):
        cloud.prepare(report)
        state = engine.state()
        arm = cloud.arm()
        names = names_of(student, state, current_config(project, cloud, student).of(project.name), arm.subscription)
        # An earlier `down` may have been cut off when all was deleted: then there is nothing to ask about.
        keeping = keep_data and (state is not None or leftovers(arm, names))
        data = data_of(cloud, student, state, names) if keeping else None
        if state is not None:
            _stop_work(cloud, state, needed=data is not None, report=report)
        kept = keep(project, student, data) if data else None
        deleted, unreachable = _destroy(engine, cloud, state, report) if state else (0, [])
        report.now("asking the cloud what is left")
        if state is None:
            delete_metastore_objects(cloud, arm, names, report)
        delete_remaining(arm, names)
        left = leftovers(arm, names)
        if not left:
            engine.remove_stack()
            keep_overrides(cloud, student, {})
    # Without the stack's lock: of two that end at once, the last one must find none held.
    return DownResult(deleted, left, unreachable, kept, not left and cloud.release(report))


def _destroy(engine: Engine, cloud: Cloud, state: State, report: Report) -> tuple[int, list[str]]:
    """Destroy the stack; returns how many resources that were, and what Databricks may still have."""
    engine.cancel_stale_lock(report)
    finish_interrupted(engine, cloud, state, report)
    if not state.own and not state.pending:
        return 0, []
    unreachable = forget_lost_workspace(engine, cloud, state)
    return engine.destroy(report), unreachable


def _stop_work(cloud: Cloud, state: State, *, needed: bool, report: Report) -> None:
    """Stop the student's runs and the cluster.

    needed: what the runs write is to be kept, so a workspace that fails is an error
    """
    outputs = state.outputs
    with _ignoring_a_broken_workspace(needed):
        if outputs.get("workspaceUrl") and outputs.get("exercisesJobId"):
            from lab.runs import Workspace
            from lab.streams import stop

            workspace = Workspace(cloud.workspace(outputs), outputs, cloud.poll_seconds)
            if workspace.active(workspace.exercises_job) or workspace.active(workspace.live_job):
                report.now("stopping the runs")
                stop(workspace, [], report, PATIENCE_SECONDS)
            # Without waiting for its end: on one machine Pulumi needs the memory now.
            workspace.client.clusters.delete(str(outputs["clusterId"]))


@contextlib.contextmanager
def _ignoring_a_broken_workspace(needed: bool) -> Iterator[None]:
    """A half-deleted workspace must not stop `down`: what runs in it is deleted with it."""
    from databricks.sdk.errors.base import DatabricksError

    try:
        yield
    except (DatabricksError, LabError):
        if needed:
            raise
