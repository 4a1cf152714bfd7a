"""Runs: started, queued, skipped, listed, canceled, and their output."""

import threading
from pathlib import Path
from typing import Any

from localcloud.errors import DatabricksError
from localcloud.store import Store
from localcloud.workspace import run_states
from localcloud.workspace.errors import invalid, unsupported
from localcloud.workspace.execution import Execution, Surroundings
from localcloud.workspace.jobs import Jobs
from localcloud.workspace.people import Caller
from localcloud.workspace.run_states import End
from localcloud.workspace.shelf import Record, Shelf

MAX_LOG_BYTES = 5 * 1024 * 1024
_QUEUE_SECONDS = 48 * 3600
_RESTARTED = End(
    "INTERNAL_ERROR",
    "FAILED",
    "INTERNAL_ERROR",
    "INTERNAL_ERROR",
    "The local cloud ended while this run was active; run it again to go on from its checkpoints.",
)


class Runs:
    """The runs of one workspace, newest first."""

    def __init__(self, store: Store, workspace_id: str, url: str, jobs: Jobs, around: Surroundings) -> None:
        self._store = store
        self._workspace_id = workspace_id
        self._url = url
        self._jobs = jobs
        self._around = around
        self._runs = Shelf(store, "run", workspace_id)
        self._tokens = Shelf(store, "run-token", workspace_id)
        self._lock = threading.RLock()
        self._finished = threading.Condition(self._lock)
        self._active: dict[int, Execution] = {}
        self._queued: list[int] = []
        self._last_end: dict[int, Record] = {}

    # Starting

    def run_now(self, job_id: int, caller: Caller, options: Record | None = None, trigger: str = "ONE_TIME") -> Record:
        """Start a job. options: job_parameters, only (task keys), idempotency_token, queue."""
        options = options or {}
        for name in set(options) - {"job_id", "job_parameters", "only", "idempotency_token", "queue"}:
            if options[name] not in (None, {}, []):
                raise unsupported(f"run-now field '{name}'")
        with self._lock:
            if known := self._known(options.get("idempotency_token")):
                return known
            job = self._jobs.get(job_id)
            self._jobs.authorize(job_id, caller, "CAN_MANAGE_RUN")
            settings = job["settings"]
            if settings.get("continuous") and self.active(job_id):
                raise DatabricksError(
                    409,
                    "ALREADY_EXISTS",
                    "A concurrent request to run the continuous job is already in progress. Please wait for it to"
                    " finish.",
                )
            run = self._new(
                settings,
                caller,
                job_id=job_id,
                run_as=job["run_as_user_name"],
                only=options.get("only"),
                parameters=options.get("job_parameters"),
            )
            run["trigger"] = trigger
            run["number_in_job"] = run["run_id"]
            queue = (options.get("queue") or settings.get("queue") or {}).get("enabled", False)
            self._admit(run, settings["max_concurrent_runs"], queue)
            self._remember(options.get("idempotency_token"), run)
        return run

    def submit(self, body: Record, caller: Caller) -> Record:
        """Start a one-time run that belongs to no job."""
        with self._lock:
            if known := self._known(body.get("idempotency_token")):
                return known
            settings = {name: body[name] for name in ("tasks", "timeout_seconds", "run_as") if body.get(name)}
            settings = self._jobs.check({"name": body.get("run_name") or "Untitled", **settings}, caller)
            run_as = (settings.get("run_as") or {}).get("user_name") or caller.user_name
            # The service gives every submitted run a hidden job of its own.
            run = self._new(settings, caller, job_id=self._next_id(), run_as=run_as)
            run |= {"run_type": "SUBMIT_RUN", "trigger": "ONE_TIME", "number_in_job": run["run_id"]}
            self._admit(run, 1, False)
            self._remember(body.get("idempotency_token"), run)
        return run

    def check_queue(self) -> None:
        """Start queued runs whose turn has come; give up those that waited for 48 hours."""
        with self._lock:
            for run_id in list(self._queued):
                run = self._find(run_id)
                if self._around.now() - run["_queued_at"] > _QUEUE_SECONDS * 1000:
                    self._queued.remove(run_id)
                    self._end_unstarted(run, _skipped("The run was queued for more than 48 hours."))
                elif len(self.active(run["job_id"])) < run["_max_concurrent"]:
                    self._queued.remove(run_id)
                    run["queue_duration"] = self._around.now() - run["_queued_at"]
                    self._launch(run)

    # Reading

    def get(self, run_id: int) -> Record:
        """The run with this id, or the one that has a task with this id; refused if there is none."""
        run = self._find(run_id)
        return dict(_public(run))

    def all(self, job_id: int | None = None, active: bool | None = None, run_type: str | None = None) -> list[Record]:
        """Runs, newest first. active: only those that are (True) or are not (False)."""
        return [
            _public(run)
            for run in map(self._current, self._runs.values()[::-1])
            if (job_id is None or run["job_id"] == job_id)
            and (active is None or active is not run_states.is_final(run))
            and (run_type is None or run["run_type"] == run_type)
        ]

    def output(self, run_id: int) -> Record:
        """Logs (the last 5 MB), error and trace of one task's run."""
        run = self._find(run_id)
        tasks = [task for task in run["tasks"] if run_id in (task["run_id"], run["run_id"])]
        if len(tasks) > 1:
            raise DatabricksError(
                400,
                "INVALID_PARAMETER_VALUE",
                "Retrieving the output of runs with multiple tasks is not supported. Please retrieve the output of each"
                " individual task run instead.",
            )
        task = tasks[0]
        answer: Record = {"metadata": _public({**run, **task, "tasks": [task]})}
        log = self._log(task["run_id"])
        if log.exists():
            size = log.stat().st_size
            with log.open("rb") as file:
                file.seek(max(0, size - MAX_LOG_BYTES))
                answer["logs"] = file.read(MAX_LOG_BYTES).decode(errors="replace")
            answer["logs_truncated"] = size > MAX_LOG_BYTES
        if task.get("_error"):
            answer |= {"error": task["_error"], "error_trace": task["_trace"]}
        if "notebook_task" in task:
            answer["notebook_output"] = {}
        return answer

    def active(self, job_id: int) -> list[int]:
        """Ids of the job's runs that have started and not ended."""
        with self._lock:
            return [run_id for run_id, execution in self._active.items() if execution.run["job_id"] == job_id]

    def last_end(self, job_id: int) -> Record | None:
        """The job's run that ended last since the local cloud started."""
        with self._lock:
            return self._last_end.get(job_id)

    def wait(self, run_id: int, timeout: float) -> Record:
        """The run, once it has ended or `timeout` seconds have passed."""
        with self._lock:
            self._finished.wait_for(lambda: run_id not in self._active and run_id not in self._queued, timeout)
        return self.get(run_id)

    # Ending

    def cancel(self, run_id: int, caller: Caller) -> None:
        """Ask a run to stop; returns at once. A run that has ended stays as it is."""
        with self._lock:
            run = self._find(run_id)
            if run["run_type"] == "JOB_RUN" and self._job_exists(run["job_id"]):
                self._jobs.authorize(run["job_id"], caller, "CAN_MANAGE_RUN")
            if run["run_id"] in self._queued:
                self._queued.remove(run["run_id"])
                self._end_unstarted(run, run_states.CANCELED)
            elif run["run_id"] in self._active:
                self._active[run["run_id"]].cancel()

    def cancel_all(self, job_id: int | None, caller: Caller, queued_only: bool = False) -> None:
        """Cancel the runs of a job, or (None) of all jobs; queued_only: those that wait in the queue."""
        with self._lock:
            wanted = [*self._queued, *([] if queued_only else self._active)]
            for run_id in wanted:
                if job_id is None or self._find(run_id)["job_id"] == job_id:
                    self.cancel(run_id, caller)

    def delete(self, run_id: int, caller: Caller) -> None:
        """Forget a run that has ended, with its logs."""
        run = self._find(run_id)
        if self._job_exists(run["job_id"]):
            self._jobs.authorize(run["job_id"], caller, "CAN_MANAGE")
        if not run_states.is_final(run):
            raise invalid(f"Run {run_id} is active: cancel it before it is deleted.")
        for task in run["tasks"]:
            self._log(task["run_id"]).unlink(missing_ok=True)
        self._runs.delete(_key(run["run_id"]))

    def recover(self) -> None:
        """After a restart of the local cloud: what was active has failed, what was queued waits on."""
        for run in self._runs.values():
            if run["state"]["life_cycle_state"] == "QUEUED":
                self._queued.append(run["run_id"])
            elif not run_states.is_final(run):
                for task in run["tasks"]:
                    if not run_states.is_final(task):
                        task["_error"], task["_trace"] = _RESTARTED.message, ""
                        run_states.ended(task, _RESTARTED, self._around.now())
                run_states.ended(run, _RESTARTED, self._around.now())
                self._keep(run)

    def close(self) -> None:
        """End the threads of active runs; `recover` says what became of them."""
        with self._lock:
            for execution in self._active.values():
                execution.abandon()
            self._active.clear()
            self._queued.clear()

    # Inside

    def _new(
        self,
        settings: Record,
        caller: Caller,
        *,
        job_id: int,
        run_as: str,
        only: list[str] | None = None,
        parameters: dict[str, str] | None = None,
    ) -> Record:
        keys = [task["task_key"] for task in settings["tasks"]]
        for key in only or []:
            if key not in keys:
                raise invalid(f"Task key '{key}' does not exist in job {job_id}: its tasks are {', '.join(keys)}.")
        run_id, now = self._next_id(), self._around.now()
        run: Record = {
            "job_id": job_id,
            "run_id": run_id,
            "original_attempt_run_id": run_id,
            "run_name": settings["name"],
            "creator_user_name": caller.user_name,
            "run_type": "JOB_RUN",
            "format": "MULTI_TASK",
            "start_time": now,
            "end_time": 0,
            "job_parameters": _parameters(settings, parameters or {}),
            "run_page_url": f"https://{self._url}/?o={self._workspace_id}#job/{job_id}/run/{run_id}",
            "tasks": [self._new_task(task) for task in settings["tasks"] if not only or task["task_key"] in only],
            "_run_as": run_as,
            "_timeout": settings["timeout_seconds"],
            "_retry_on_failure": (settings.get("continuous") or {}).get("task_retry_mode") == "ON_FAILURE",
        }
        if settings.get("schedule"):
            run["schedule"] = settings["schedule"]
        run_states.moving(run, "PENDING")
        return run

    def _new_task(self, task: Record) -> Record:
        task = {**task, "run_id": self._next_id(), "attempt_number": 0, "start_time": 0, "end_time": 0}
        run_states.moving(task, "BLOCKED")
        return task

    def _admit(self, run: Record, limit: int, queue: bool) -> None:
        if len(self.active(run["job_id"])) < limit:
            self._launch(run)
        elif queue and limit:
            run |= {"_queued_at": self._around.now(), "_max_concurrent": limit}
            run_states.moving(run, "QUEUED", "Queued: the job has reached its maximum of concurrent runs.")
            run["state"]["queue_reason"] = "Queued due to reaching maximum concurrent runs of the job."
            run["status"]["queue_details"] = {
                "code": "MAX_CONCURRENT_RUNS_REACHED",
                "message": run["state"]["queue_reason"],
            }
            self._queued.append(run["run_id"])
            self._keep(run)
        else:
            self._end_unstarted(run, _skipped("The maximum number of concurrent runs of the job has been reached."))

    def _launch(self, run: Record) -> None:
        run_states.moving(run, "PENDING")
        self._keep(run)
        execution = Execution(run, self._around, self._keep, self._ended)
        self._active[run["run_id"]] = execution
        execution.start()

    def _ended(self, run: Record) -> None:
        with self._lock:
            self._active.pop(run["run_id"], None)
            self._last_end[run["job_id"]] = run
            self._finished.notify_all()

    def _end_unstarted(self, run: Record, end: End) -> None:
        for record in (*run["tasks"], run):
            run_states.ended(record, end, self._around.now())
        self._keep(run)
        self._finished.notify_all()

    def _keep(self, run: Record) -> None:
        self._runs.put(_key(run["run_id"]), run)

    def _find(self, run_id: int) -> Record:
        if found := self._runs.get(_key(run_id)):
            return self._current(found)
        for run in map(self._current, self._runs.values()[::-1]):
            if any(task["run_id"] == run_id for task in run["tasks"]):
                return run
        raise invalid(f"Run {run_id} does not exist.")

    def _current(self, run: Record) -> Record:
        """A stored run as it is now: on a full disk its changes can't be stored, and must be told all the same."""
        execution = self._active.get(run["run_id"])
        return execution.record() if execution else run

    def _known(self, token: str | None) -> Record | None:
        if token and len(token) > 64:
            raise invalid("idempotency_token must have at most 64 characters.")
        found = self._tokens.get(token) if token else None
        return self._find(found["run_id"]) if found else None

    def _remember(self, token: str | None, run: Record) -> None:
        if token:
            self._tokens.put(token, {"run_id": run["run_id"]})

    def _job_exists(self, job_id: int) -> bool:
        return any(job["job_id"] == job_id for job in self._jobs.all())

    def _next_id(self) -> int:
        return self._around.next_run_id()

    def _log(self, run_id: int) -> Path:
        return self._around.logs / f"{run_id}.log"


def _parameters(settings: Record, given: dict[str, str]) -> list[Record]:
    known = {parameter["name"]: parameter["default"] for parameter in settings.get("parameters") or []}
    for name, value in given.items():
        if name not in known:
            raise invalid(
                f"Job parameter '{name}' is not defined by the job: its parameters are {', '.join(known) or 'none'}."
            )
        if not isinstance(value, str):
            raise invalid(f"Job parameter '{name}' must be a string.")
    return [{"name": name, "default": default, "value": given.get(name, default)} for name, default in known.items()]


def _skipped(message: str) -> End:
    return End("SKIPPED", "MAXIMUM_CONCURRENT_RUNS_REACHED", "MAX_CONCURRENT_RUNS_EXCEEDED", "CLIENT_ERROR", message)


def _public(record: Any) -> Any:
    """The record without what is the run's own business."""
    if isinstance(record, dict):
        return {name: _public(value) for name, value in record.items() if not name.startswith("_")}
    if isinstance(record, list):
        return [_public(item) for item in record]
    return record


def _key(run_id: int) -> str:
    return f"{run_id:020}"
