"""What happens by itself: cron, continuous jobs; with a clock that the test moves."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from localcloud.errors import DatabricksError
from localcloud.workspace import Workspace, Workspaces, quartz

PAUSED, UNPAUSED = {"pause_status": "PAUSED"}, {"pause_status": "UNPAUSED"}


def _cron(expression: str, zone: str = "UTC", **more: Any) -> dict[str, Any]:
    return {"schedule": {"quartz_cron_expression": expression, "timezone_id": zone, **more}}


@pytest.mark.parametrize(
    ("expression", "zone", "fires"),
    [
        ("0 0 12 * * ?", "UTC", ["2026-05-15 12:00", "2026-05-16 12:00"]),
        ("0 30 6 ? * MON", "Europe/Berlin", ["2026-05-18 04:30", "2026-05-25 04:30"]),
        ("0 0/20 10 * * ?", "UTC", ["2026-05-15 10:20", "2026-05-15 10:40", "2026-05-16 10:00"]),
        ("0 0 9-11/2 ? * FRI-MON", "UTC", ["2026-05-15 11:00", "2026-05-16 09:00", "2026-05-16 11:00"]),
        ("0 0 0 L * ?", "UTC", ["2026-05-31 00:00", "2026-06-30 00:00"]),
        ("0 0 0 L-2 * ?", "UTC", ["2026-05-29 00:00", "2026-06-28 00:00"]),
        ("0 0 0 LW 5 ?", "UTC", ["2026-05-29 00:00", "2027-05-31 00:00"]),
        ("0 0 0 16W * ?", "UTC", ["2026-06-16 00:00", "2026-07-16 00:00"]),
        ("0 0 0 ? * 6L", "UTC", ["2026-05-29 00:00", "2026-06-26 00:00"]),
        ("0 0 0 ? JUN TUE#2", "UTC", ["2026-06-09 00:00", "2027-06-08 00:00"]),
        ("0 0 0 1 1 ? 2026-2027", "UTC", ["2027-01-01 00:00", None]),
        ("0 0 8 * * ?", "JST", ["2026-05-15 23:00"]),
        ("0 0 8 * * ?", "GMT+02:00", ["2026-05-16 06:00"]),
        # Summer time: on 29 March 2027 02:30 exists again, on the 28th it doesn't.
        ("0 30 2 27-29 3 ?", "Europe/Berlin", ["2027-03-27 01:30", "2027-03-29 00:30"]),
    ],
)
def test_quartz_expressions_fire_when_quartz_says(expression: str, zone: str, fires: list[str | None]) -> None:
    moment: float | None = 1778839200.0
    parsed = quartz.parse(expression, zone)
    for expected in fires:
        assert moment is not None
        moment = parsed.next_after(moment)
        assert (moment and f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M}") == expected


@pytest.mark.parametrize(
    "expression",
    [
        "", "* * * * *", "0 0 12 * * *", "0 0 12 ? * ?", "60 0 12 * * ?", "0 0 12 32 * ?", "0 0 12 * 13 ?",
        "0 0 12 ? * 8", "0 0 12 ? * MONDAY", "0 0/0 12 * * ?", "0 0 12 L-40 * ?", "0 0 12 ? * 2#6", "0 0 12 * * ? 1900",
        "0 0 12 1,L,X * ?",
    ],
)  # fmt: skip
def test_expressions_that_quartz_refuses_are_refused(expression: str) -> None:
    with pytest.raises(quartz.QuartzError):
        quartz.parse(expression, "UTC")


def test_a_schedule_fires_at_its_time_and_once(
    workspace: Workspace, workspaces: Workspaces, job: Any, task: Any, clock: Any, finished: Any
) -> None:
    job_id = job(task("a"), **_cron("0 0 12 * * ?", "Europe/Berlin"))
    for minutes, runs in ((0, 0), (-1, 0), (1, 0)):
        clock.advance(minutes=minutes)
        workspaces.check()
        assert len(workspace.runs.all(job_id)) == runs
    clock.advance(hours=23, minutes=59)
    workspaces.check()
    assert not workspace.runs.all(job_id)
    clock.advance(minutes=1)
    workspaces.check()
    workspaces.check()
    (run,) = workspace.runs.all(job_id)
    assert run["trigger"] == "PERIODIC"
    assert finished(run["run_id"])["state"]["result_state"] == "SUCCESS"
    clock.advance(hours=24)
    workspaces.check()
    assert len(workspace.runs.all(job_id)) == 2


def test_what_was_missed_is_not_made_up_for(
    workspace: Workspace, workspaces: Workspaces, job: Any, task: Any, clock: Any
) -> None:
    job_id = job(task("a"), **_cron("0 0 * * * ?"))
    workspaces.check()
    clock.advance(hours=100)
    workspaces.check()
    workspaces.check()
    assert len(workspace.runs.all(job_id)) == 1


def test_runs_of_a_schedule_are_ten_seconds_apart(
    workspace: Workspace, workspaces: Workspaces, job: Any, task: Any, clock: Any, finished: Any
) -> None:
    job_id = job(task("a"), **_cron("* * * * * ?"), max_concurrent_runs=100)
    for _ in range(31):
        workspaces.check()
        clock.advance(seconds=1)
    runs = workspace.runs.all(job_id)
    for run in runs:
        finished(run["run_id"])
    assert [run["start_time"] // 1000 - 1778839200 for run in runs[::-1]] == [1, 11, 21]


def test_a_paused_schedule_does_not_fire_until_it_is_unpaused(
    workspace: Workspace, workspaces: Workspaces, job: Any, task: Any, clock: Any
) -> None:
    job_id = job(task("a"), **_cron("0 0 * * * ?", pause_status="PAUSED"))
    workspaces.check()
    clock.advance(hours=2)
    workspaces.check()
    assert not workspace.runs.all(job_id)
    workspace.jobs.update(job_id, _cron("0 0 * * * ?", pause_status="UNPAUSED"), [], workspace.developer)
    workspaces.check()
    clock.advance(hours=1)
    workspaces.check()
    assert len(workspace.runs.all(job_id)) == 1


def test_a_continuous_job_runs_again_soon_after_each_end(
    workspace: Workspace, workspaces: Workspaces, job: Any, task: Any, clock: Any, drivers: Any, finished: Any
) -> None:
    drivers.behaviour["a"] = "wait"
    job_id = job(task("a"), continuous=UNPAUSED)
    workspaces.check()
    clock.advance(hours=30)
    workspaces.check()
    (first,) = workspace.runs.all(job_id)
    assert first["trigger"] == "CONTINUOUS"
    drivers.task("a").finish()
    finished(first["run_id"])
    workspaces.check()
    assert len(workspace.runs.all(job_id)) == 1
    clock.advance(seconds=59)
    workspaces.check()
    workspaces.check()
    assert len(workspace.runs.all(job_id)) == 2
    drivers.task("a", 2)


def test_the_pause_of_a_continuous_job_grows_with_each_failure_and_a_success_ends_it(
    workspace: Workspace, workspaces: Workspaces, job: Any, task: Any, clock: Any, drivers: Any, finished: Any
) -> None:
    job_id = job(task("a"), continuous=UNPAUSED)

    def pause() -> int:
        """Seconds until the next run begins; it is over when this returns."""
        known = len(workspace.runs.all(job_id))
        for seconds in range(1000):
            workspaces.check()
            runs = workspace.runs.all(job_id)
            if len(runs) > known:
                finished(runs[0]["run_id"])
                return seconds
            clock.advance(seconds=1)
        raise AssertionError("no run began")

    drivers.behaviour["a"] = ("FAILED", "no", "")
    assert pause() == 0
    pauses = [pause() for _ in range(4)]
    assert pauses == sorted(set(pauses)), "each pause is longer than the one before"
    drivers.behaviour["a"] = ("SUCCESS",)
    assert pause() > pauses[-1]
    assert pause() < pauses[0], "a success resets the pause"


def test_a_canceled_continuous_run_starts_anew_and_a_paused_job_does_not(
    workspace: Workspace, workspaces: Workspaces, job: Any, task: Any, clock: Any, drivers: Any, finished: Any
) -> None:
    drivers.behaviour["a"] = "wait"
    job_id = job(task("a"), continuous=UNPAUSED)
    workspaces.check()
    drivers.task("a")
    workspace.runs.cancel_all(job_id, workspace.developer)
    finished(workspace.runs.all(job_id)[0]["run_id"])
    clock.advance(seconds=60)
    workspaces.check()
    drivers.task("a", 2)
    workspace.jobs.update(job_id, {"continuous": PAUSED}, [], workspace.developer)
    workspaces.check()
    assert len(workspace.runs.active(job_id)) == 1, "pausing leaves the active run alone"
    workspace.runs.cancel_all(job_id, workspace.developer)
    finished(workspace.runs.all(job_id)[0]["run_id"])
    clock.advance(hours=1)
    workspaces.check()
    assert len(workspace.runs.all(job_id)) == 2


def test_a_continuous_job_has_one_run_at_a_time(
    workspace: Workspace, workspaces: Workspaces, job: Any, task: Any, drivers: Any
) -> None:
    drivers.behaviour["a"] = "wait"
    job_id = job(task("a"), continuous=UNPAUSED)
    workspaces.check()
    with pytest.raises(DatabricksError, match="A concurrent request to run the continuous job is already in progress"):
        workspace.runs.run_now(job_id, workspace.developer)


def test_a_continuous_job_goes_on_after_a_restart_of_the_cloud(
    workspace: Workspace,
    open_workspaces: Callable[[], Workspaces],
    workspaces: Workspaces,
    job: Any,
    task: Any,
    drivers: Any,
) -> None:
    drivers.behaviour["a"] = "wait"
    job_id = job(task("a"), continuous=UNPAUSED)
    workspaces.check()
    drivers.task("a")
    again = open_workspaces()
    again.check()
    drivers.task("a", 2)
    found = again.get(workspace.url)
    assert found
    assert [run["state"]["life_cycle_state"] == "INTERNAL_ERROR" for run in found.runs.all(job_id)] == [False, True]


def test_a_job_whose_cluster_is_gone_does_not_stop_other_schedules(
    workspace: Workspace, workspaces: Workspaces, job: Any, task: Any, clock: Any, cluster: str, finished: Any
) -> None:
    job_id = job(task("a"), **_cron("0 0 * * * ?"))
    workspace.clusters.permanent_delete(cluster, workspace.developer)
    workspaces.check()
    clock.advance(hours=1)
    workspaces.check()
    run = finished(workspace.runs.all(job_id)[0]["run_id"])
    assert f"Cluster {cluster} does not exist" in run["state"]["state_message"]


def test_one_odd_job_does_not_stop_the_others(
    workspace: Workspace,
    workspaces: Workspaces,
    job: Any,
    task: Any,
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sound = job(task("a"), **_cron("0 0 * * * ?"))
    odd = job(task("a"), **_cron("0 0 * * * ?"))
    start = workspace.runs.run_now

    def run_now(job_id: int, *arguments: Any, **options: Any) -> Any:
        return {}["none"] if job_id == odd else start(job_id, *arguments, **options)

    monkeypatch.setattr(workspace.runs, "run_now", run_now)
    workspaces.check()
    clock.advance(hours=1)
    workspaces.check()
    assert workspace.jobs.all()[0]["job_id"] == odd, "it comes first"
    assert len(workspace.runs.all(sound)) == 1
    assert f"job {odd} could not start: the local cloud failed (KeyError)" in caplog.text
