"""Jobs and runs, /api/2.2/jobs."""

from typing import Any

from localcloud.workspace.rest.http import Call, Handler, page
from localcloud.workspace.shelf import Record
from localcloud.workspace.workspace import Workspace

# A job or run with more tasks than this is answered in pages (Jobs API 2.2).
_TASKS_A_PAGE = 100


def handlers(workspace: Workspace) -> list[tuple[str, str, Handler]]:
    """Method, path and handler of each call."""
    jobs, runs = workspace.jobs, workspace.runs

    def create(call: Call) -> Any:
        values = {**call.values}
        entries = values.pop("access_control_list", None)
        values.pop("version")
        job = jobs.create(values, call.caller)
        if entries:
            workspace.permissions.patch("jobs", str(job["job_id"]), entries, call.caller)
        return {"job_id": job["job_id"]}

    def update(call: Call) -> None:
        jobs.update(
            call.number("job_id"), call.values.get("new_settings") or {}, call.texts("fields_to_remove"), call.caller
        )

    def reset(call: Call) -> None:
        jobs.reset(call.number("job_id"), call.values.get("new_settings") or {}, call.caller)

    def get(call: Call) -> Any:
        job = jobs.get(call.number("job_id"))
        jobs.authorize(job["job_id"], call.caller, "CAN_VIEW")
        tasks, fields = page(job["settings"]["tasks"], call, _TASKS_A_PAGE, _TASKS_A_PAGE)
        return {**job, "settings": {**job["settings"], "tasks": tasks}, **fields}

    def listed(call: Call) -> Any:
        items, fields = page(jobs.all(call.values.get("name")), call, 20, 100)
        return {"jobs": [_brief(job, call.flag("expand_tasks")) for job in items], "has_more": False, **fields}

    def run_now(call: Call) -> Any:
        options = {name: value for name, value in call.values.items() if name != "version"}
        run = runs.run_now(call.number("job_id"), call.caller, options)
        return {"run_id": run["run_id"], "number_in_job": run["number_in_job"]}

    def get_run(call: Call) -> Any:
        run = runs.get(call.number("run_id"))
        tasks, fields = page(run["tasks"], call, _TASKS_A_PAGE, _TASKS_A_PAGE)
        return {**run, "tasks": tasks, **fields}

    def list_runs(call: Call) -> Any:
        job_id = call.number("job_id") if "job_id" in call.values else None
        active = True if call.flag("active_only") else False if call.flag("completed_only") else None
        found = runs.all(job_id, active, call.values.get("run_type"))
        low, high = call.number("start_time_from", 0), call.number("start_time_to", 2**62)
        items, fields = page([run for run in found if low <= run["start_time"] <= high], call, 20, 25)
        if not call.flag("expand_tasks"):
            items = [{name: value for name, value in run.items() if name != "tasks"} for run in items]
        return {"runs": items, "has_more": False, **fields}

    def cancel_all(call: Call) -> None:
        everything = call.flag("all_queued_runs")
        job_id = call.number("job_id") if "job_id" in call.values else None
        runs.cancel_all(job_id, call.caller, queued_only=everything)

    base = "/api/{version}/jobs"
    return [
        ("POST", f"{base}/create", create),
        ("POST", f"{base}/update", update),
        ("POST", f"{base}/reset", reset),
        ("POST", f"{base}/delete", lambda call: workspace.delete_job(call.number("job_id"), call.caller)),
        ("GET", f"{base}/get", get),
        ("GET", f"{base}/list", listed),
        ("POST", f"{base}/run-now", run_now),
        ("POST", f"{base}/runs/submit", lambda call: {"run_id": runs.submit(call.values, call.caller)["run_id"]}),
        ("GET", f"{base}/runs/get", get_run),
        ("GET", f"{base}/runs/list", list_runs),
        ("GET", f"{base}/runs/get-output", lambda call: runs.output(call.number("run_id"))),
        ("POST", f"{base}/runs/cancel", lambda call: runs.cancel(call.number("run_id"), call.caller)),
        ("POST", f"{base}/runs/cancel-all", cancel_all),
        ("POST", f"{base}/runs/delete", lambda call: runs.delete(call.number("run_id"), call.caller)),
    ]


def _brief(job: Record, expand: bool) -> Record:
    if expand:
        return job
    return {**job, "settings": {name: value for name, value in job["settings"].items() if name != "tasks"}}
