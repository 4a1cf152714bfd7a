"""Stopping queries cleanly: a request in a file, a pause for the live job, a cancel for who does not listen."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.report import Report
from lab.runs import FINAL, Workspace, life_cycle

if TYPE_CHECKING:
    from databricks.sdk.service.jobs import PauseStatus

# A batch takes seconds; a query that has not ended by then will not.
PATIENCE_SECONDS = 60.0


def live_status(workspace: Workspace) -> PauseStatus | None:
    """Whether the live job is paused."""
    settings = workspace.client.jobs.get(workspace.live_job).settings
    return settings.continuous.pause_status if settings and settings.continuous else None


def set_live(workspace: Workspace, status: PauseStatus) -> bool:
    """Pause the live job or let it run; false when it was so already."""
    from databricks.sdk.service.jobs import Continuous, JobSettings

    if live_status(workspace) == status:
        return False
    workspace.client.jobs.update(
        workspace.live_job, new_settings=JobSettings(continuous=Continuous(pause_status=status))
    )
    return True


def stop(workspace: Workspace, queries: Sequence[str], report: Report, patience: float = PATIENCE_SECONDS) -> list[str]:
    """Stop the named queries after their current batch, or everything when none is named.

    patience: seconds until the runs that go on are canceled; a named query that goes on is an error. Returns the names
    of the queries that were active and have ended.
    """
    from databricks.sdk.service.jobs import PauseStatus
    from databricks.sdk.service.workspace import ImportFormat

    before = _names(workspace)
    unknown = [name for name in queries if name not in before]
    if before and unknown:
        raise LabError("stop", f"no query {' or '.join(unknown)} is active", f"Active are {', '.join(before)}.")
    runs = [*workspace.active(workspace.exercises_job), *workspace.active(workspace.live_job)]
    request = {
        "requested_at": datetime.now(UTC).isoformat(),
        "queries": list(queries) or ["*"],
        "dataset": "*",
    }
    workspace.client.workspace.mkdirs(workspace.control)
    workspace.client.workspace.upload(
        f"{workspace.control}/stop.json", json.dumps(request).encode(), format=ImportFormat.RAW, overwrite=True
    )
    deadline = time.monotonic() + patience
    if queries:
        while (going := [name for name in _names(workspace) if name in queries]) and time.monotonic() < deadline:
            report.now("waiting for the current batches")
            time.sleep(workspace.poll_seconds)
        if going:
            advice = "Run lab stop without a name, which cancels the runs that go on."
            raise LabError("stop", f"{', '.join(going)} did not end within {patience:.0f} s", advice)
        return [name for name in before if name in queries]
    # The request stands before the pause, because a pause may cancel the run: then its tasks already know.
    set_live(workspace, PauseStatus.PAUSED)
    for run_id in runs:
        while life_cycle(workspace.run(run_id)) not in FINAL:
            if time.monotonic() > deadline:
                report.line("canceled", f"run {run_id}, which did not end within {patience:.0f} s")
                workspace.client.jobs.cancel_run(run_id).result()
                break
            report.now("waiting for the current batches")
            time.sleep(workspace.poll_seconds)
    return before


def _names(workspace: Workspace) -> list[str]:
    """The names of the active queries."""
    return [str(query["name"]) for query in workspace.streams()]
