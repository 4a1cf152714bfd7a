"""What happens by itself: cron schedules, continuous jobs, queued runs, idle clusters."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from localcloud import faults
from localcloud.errors import CloudError
from localcloud.workspace import quartz, run_states
from localcloud.workspace.drivers import Drivers
from localcloud.workspace.jobs import Jobs
from localcloud.workspace.people import Caller
from localcloud.workspace.runs import Runs
from localcloud.workspace.shelf import Record

# Seconds. Databricks starts the next continuous run within 60 s, and keeps cron runs 10 s apart.
_SOON = 5.0
_FIRST_BACK_OFF = 15.0
_LONGEST_BACK_OFF = 24 * 3600.0
_CRON_APART = 10.0

_log = logging.getLogger(__name__)


@dataclass
class _Cron:
    text: tuple[str, str]
    quartz: quartz.Quartz
    next: float | None


@dataclass
class _Continuous:
    failures: int = 0
    counted: int = 0
    not_before: float = 0.0


class Scheduler:
    """Drives one workspace: `check` does what is due now. clock: epoch seconds."""

    def __init__(self, jobs: Jobs, runs: Runs, drivers: Drivers, clock: Callable[[], float]) -> None:
        self._jobs = jobs
        self._runs = runs
        self._drivers = drivers
        self._clock = clock
        self._crons: dict[int, _Cron] = {}
        self._continuous: dict[int, _Continuous] = {}
        self._lock = threading.Lock()

    def check(self) -> None:
        """Start what is due, stop what is idle. To be called about every second."""
        with self._lock:
            jobs = self._jobs.all()
            for job in jobs:
                try:
                    self._check_cron(job)
                    self._check_continuous(job)
                except CloudError as refusal:
                    _log.warning("job %s could not start: %s", job["job_id"], refusal)
                except Exception as error:  # one odd job must not stop the others
                    _log.warning("job %s could not start: %s", job["job_id"], faults.explain("schedules", error))
            for gone in {*self._crons, *self._continuous} - {job["job_id"] for job in jobs}:
                self._crons.pop(gone, None)
                self._continuous.pop(gone, None)
            self._runs.check_queue()
            self._drivers.check()

    def _check_cron(self, job: Record) -> None:
        schedule = job["settings"].get("schedule")
        if not schedule or schedule["pause_status"] == "PAUSED":
            self._crons.pop(job["job_id"], None)
            return
        now = self._clock()
        text = (schedule["quartz_cron_expression"], schedule["timezone_id"])
        cron = self._crons.get(job["job_id"])
        if cron is None or cron.text != text:
            parsed = quartz.parse(*text)
            self._crons[job["job_id"]] = _Cron(text, parsed, parsed.next_after(now))
            return
        if cron.next is None or now < cron.next:
            return
        # What was missed while nothing ran here is not made up for: one run, then the future.
        cron.next = cron.quartz.next_after(max(now, cron.next + _CRON_APART - 1))
        self._runs.run_now(job["job_id"], _owner(job), trigger="PERIODIC")

    def _check_continuous(self, job: Record) -> None:
        job_id = job["job_id"]
        continuous = job["settings"].get("continuous")
        if not continuous or continuous["pause_status"] == "PAUSED":
            self._continuous.pop(job_id, None)
            return
        if self._runs.active(job_id):
            return
        state = self._continuous.setdefault(job_id, _Continuous(counted=self._last(job_id)))
        last = self._runs.last_end(job_id)
        if last is not None and last["run_id"] != state.counted:
            state.counted = last["run_id"]
            state.failures = state.failures + 1 if run_states.result(last) in ("FAILED", "TIMEDOUT") else 0
            state.not_before = last["end_time"] / 1000 + _pause(state.failures)
        if self._clock() >= state.not_before:
            trigger = "CONTINUOUS_RESTART" if state.counted else "CONTINUOUS"
            self._runs.run_now(job_id, _owner(job), trigger=trigger)

    def _last(self, job_id: int) -> int:
        last = self._runs.last_end(job_id)
        return int(last["run_id"]) if last else 0


def _pause(failures: int) -> float:
    """Seconds until the next continuous run: soon after a success, longer after each failure in a row."""
    return min(_FIRST_BACK_OFF * 2 ** (failures - 1), _LONGEST_BACK_OFF) if failures else _SOON


def _owner(job: Record) -> Caller:
    # The service starts the run itself; the job's permission list is not asked.
    return Caller(job["creator_user_name"], admin=True)
