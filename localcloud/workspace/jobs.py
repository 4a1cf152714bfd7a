"""Jobs: settings that are kept, and the runs that they may have."""

import time
from collections.abc import Callable

from localcloud.store import Store
from localcloud.workspace import job_settings
from localcloud.workspace.errors import denied, invalid
from localcloud.workspace.people import Caller, People
from localcloud.workspace.permissions import Permissions
from localcloud.workspace.shelf import Record, Shelf


class Jobs:
    """The jobs of one workspace."""

    def __init__(
        self,
        store: Store,
        workspace_id: str,
        *,
        people: People,
        permissions: Permissions,
        has_cluster: Callable[[str], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._people = people
        self._permissions = permissions
        self._has_cluster = has_cluster
        self._clock = clock
        self._jobs = Shelf(store, "job", workspace_id)
        permissions.register("jobs", lambda job_id: self._jobs.get(job_id) is not None)

    def create(self, settings: Record, caller: Caller) -> Record:
        """Add a job."""
        with self._store.transaction():
            settings = self.check(settings, caller)
            job_id = 100_000_000_000 + self._store.next_id("databricks/job")
            job = {
                "job_id": job_id,
                "creator_user_name": caller.user_name,
                "run_as_user_name": self._run_as(settings, caller),
                "created_time": int(self._clock() * 1000),
                "settings": settings,
            }
            self._jobs.put(str(job_id), job)
            self._permissions.created("jobs", str(job_id), caller.user_name)
        return job

    def check(self, settings: Record, caller: Caller, was: str = "") -> Record:
        """The settings as the service would keep them; refuses what it would refuse. was: whom the job runs as now."""
        settings = job_settings.check(settings, self._people.has_user, self._has_cluster)
        user = self._run_as(settings, caller)
        if not caller.admin and user.lower() not in (caller.user_name.lower(), was.lower()):
            raise denied(f"{caller.user_name} is not allowed to run a job as {user}: only administrators are.")
        return settings

    def reset(self, job_id: int, settings: Record, caller: Caller) -> Record:
        """Replace all settings; runs that are active keep the old ones."""
        self.authorize(job_id, caller, "CAN_MANAGE")
        with self._store.transaction():
            job = self.get(job_id)
            job["settings"] = self.check(settings, caller, job["run_as_user_name"])
            job["run_as_user_name"] = self._run_as(job["settings"], Caller(job["creator_user_name"]))
            self._jobs.put(str(job_id), job)
        return job

    def update(self, job_id: int, new: Record, remove: list[str], caller: Caller) -> Record:
        """Change top-level settings; tasks are merged by their key. remove: names of settings, or `tasks/KEY`."""
        settings = {**self.get(job_id)["settings"]}
        for name in remove:
            head, _, key = name.partition("/")
            if head == "tasks" and key:
                settings["tasks"] = [task for task in settings["tasks"] if task["task_key"] != key]
            else:
                settings.pop(name, None)
        merged = {task["task_key"]: task for task in settings.get("tasks", [])}
        merged |= {task.get("task_key"): task for task in new.get("tasks") or []}
        return self.reset(job_id, {**settings, **new, "tasks": list(merged.values())}, caller)

    def get(self, job_id: int) -> Record:
        """The job; refused if there is none."""
        found = self._jobs.get(str(job_id))
        if found is None:
            raise invalid(f"Job {job_id} does not exist.")
        return found

    def all(self, name: str | None = None) -> list[Record]:
        """All jobs, newest first; name: only those with this name, case ignored."""
        jobs = self._jobs.values()[::-1]
        return [job for job in jobs if name is None or job["settings"]["name"].lower() == name.lower()]

    def delete(self, job_id: int, caller: Caller) -> None:
        """Remove a job; its runs stay listed."""
        self.authorize(job_id, caller, "CAN_MANAGE")
        self._jobs.delete(str(job_id))
        self._permissions.deleted("jobs", str(job_id))

    def authorize(self, job_id: int, caller: Caller, level: str) -> None:
        """Refuse a caller without this permission level."""
        self.get(job_id)
        if self._permissions.holds("jobs", str(job_id), caller, level):
            return
        needed = {"CAN_VIEW": "View or Admin or Manage Run or Owner", "CAN_MANAGE_RUN": "Manage Run or Admin or Owner"}
        raise denied(
            f"User {caller.user_name} does not have {needed.get(level, 'Admin or Owner')} permissions on job {job_id}"
        )

    def _run_as(self, settings: Record, caller: Caller) -> str:
        return str((settings.get("run_as") or {}).get("user_name") or caller.user_name)
