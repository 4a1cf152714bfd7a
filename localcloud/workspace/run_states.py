"""The states of runs and tasks: `state` (the older form, on which the SDK waits) and `status` beside it."""

from dataclasses import dataclass

from localcloud.workspace.shelf import Record

FINAL = ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")
_STATUS = {"WAITING_FOR_RETRY": "WAITING", **dict.fromkeys(FINAL, "TERMINATED")}


@dataclass(frozen=True)
class End:
    """How a run or a task ended.

    life_cycle, result, message: for `state`; code, type: for `status.termination_details`; error, trace: what a failed
    task said, for its output.
    """

    life_cycle: str
    result: str
    code: str
    type: str = "SUCCESS"
    message: str = ""
    error: str = ""
    trace: str = ""


SUCCESS = End("TERMINATED", "SUCCESS", "SUCCESS")
CANCELED = End("TERMINATED", "CANCELED", "USER_CANCELED", message="Run cancelled.")
EXCLUDED = End("SKIPPED", "EXCLUDED", "SKIPPED", message="The conditions of run_if were not met.")
DISABLED = End("SKIPPED", "DISABLED", "DISABLED", message="The task is disabled.")
UPSTREAM_FAILED = End("SKIPPED", "UPSTREAM_FAILED", "RUN_EXECUTION_ERROR", "CLIENT_ERROR", "An upstream task failed.")
UPSTREAM_CANCELED = End("SKIPPED", "UPSTREAM_CANCELED", "CANCELED", message="An upstream task was canceled.")


def timed_out(seconds: int) -> End:
    """A run or task that took longer than its timeout_seconds."""
    message = f"Timed out after {seconds} seconds."
    return End("TERMINATED", "TIMEDOUT", "CANCELED", "CLIENT_ERROR", message, error=message)


def failed(message: str, code: str = "RUN_EXECUTION_ERROR", type_: str = "CLIENT_ERROR", trace: str = "") -> End:
    """A task whose code raised (the default), or that could not run (another code)."""
    life_cycle = "TERMINATED" if code == "RUN_EXECUTION_ERROR" else "INTERNAL_ERROR"
    return End(life_cycle, "FAILED", code, type_, message, error=message, trace=trace)


def is_final(record: Record) -> bool:
    """Whether a run or task has ended."""
    return record["state"]["life_cycle_state"] in FINAL


def result(record: Record) -> str:
    """The result of a run or task that has ended."""
    return str(record["state"].get("result_state", ""))


def moving(record: Record, life_cycle: str, message: str = "") -> None:
    """Set a state that is not final."""
    record["state"] = {
        "life_cycle_state": life_cycle,
        "state_message": message,
        "user_cancelled_or_timedout": False,
    }
    record["status"] = {"state": _STATUS.get(life_cycle, life_cycle)}


def ended(record: Record, end: End, now: int) -> None:
    """Set a final state. now: epoch milliseconds."""
    record["state"] = {
        "life_cycle_state": end.life_cycle,
        "result_state": end.result,
        "state_message": end.message,
        "user_cancelled_or_timedout": end.result in ("CANCELED", "TIMEDOUT"),
    }
    details = {"code": end.code, "type": end.type, "message": end.message}
    record["status"] = {"state": "TERMINATED", "termination_details": details}
    record["end_time"] = now
    start = record.get("start_time") or now
    # A run of several tasks reports run_duration alone, a task its phases (Jobs API 2.2, runs/get).
    if "task_key" in record:
        record["setup_duration"] = (record.get("_running_since") or now) - start
        record["execution_duration"] = now - (record.get("_running_since") or now)
        record["cleanup_duration"] = 0
    record["run_duration"] = now - start


def of_run(tasks: list[Record]) -> End:
    """How a run ended, by its tasks: what its leaves did counts."""
    upstream = {item["task_key"] for task in tasks for item in task.get("depends_on", [])}
    leaves = [task for task in tasks if task["task_key"] not in upstream]
    bad = [task for task in tasks if result(task) in ("FAILED", "TIMEDOUT")]
    if any(result(task) == "CANCELED" for task in tasks):
        return CANCELED
    if all(result(task) in ("SUCCESS", "EXCLUDED", "DISABLED") for task in leaves):
        if not bad:
            return SUCCESS
        return End("TERMINATED", "SUCCESS_WITH_FAILURES", "SUCCESS_WITH_FAILURES", message=_failure(bad[0], tasks))
    first = bad[0] if bad else leaves[0]
    return End("INTERNAL_ERROR", "FAILED", _code(first), "CLIENT_ERROR", _failure(first, tasks))


def _code(task: Record) -> str:
    return str(task["status"]["termination_details"]["code"])


def _failure(task: Record, tasks: list[Record]) -> str:
    text = f"Task {task['task_key']} failed with message: {task['state']['state_message'].rstrip('.')}."
    skipped = any(result(item) == "UPSTREAM_FAILED" for item in tasks)
    return text + (" This caused all downstream tasks to get skipped." if skipped else "")


def dependency(task: Record, tasks: dict[str, Record]) -> End | None:
    """How a task ends without running, by run_if and what its upstream tasks did; None: it runs.

    Upstream tasks that are not part of the run (`only` left them out) do not count.
    """
    above = [tasks[item["task_key"]] for item in task.get("depends_on", []) if item["task_key"] in tasks]
    results = [result(item) for item in above]
    good = results.count("SUCCESS")
    bad = sum(item in ("FAILED", "TIMEDOUT", "UPSTREAM_FAILED") for item in results)
    stopped = sum(item in ("CANCELED", "UPSTREAM_CANCELED") for item in results)
    met = {
        "ALL_SUCCESS": good == len(results),
        "AT_LEAST_ONE_SUCCESS": good > 0 or not results,
        "NONE_FAILED": not bad and not stopped,
        "ALL_DONE": True,
        "AT_LEAST_ONE_FAILED": bad > 0,
        "ALL_FAILED": bool(results) and bad == len(results),
    }[task.get("run_if", "ALL_SUCCESS")]
    if task.get("disabled"):
        return DISABLED
    if met:
        return None
    if task.get("run_if", "ALL_SUCCESS") in ("AT_LEAST_ONE_FAILED", "ALL_FAILED"):
        return EXCLUDED
    return UPSTREAM_FAILED if bad else UPSTREAM_CANCELED if stopped else EXCLUDED
