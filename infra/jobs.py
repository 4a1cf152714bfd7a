"""The wheel and the notebooks in the workspace, and the two jobs that run the wheel."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any, TypedDict

import pulumi
import pulumi_databricks as databricks
from pulumi import ResourceOptions

from infra.access import Access
from infra.compute import Compute
from infra.content import PACKAGE
from infra.event_hubs import EventHubs
from infra.secrets import Secrets
from infra.stack import Lab
from infra.storage import Storage
from infra.workspace import Workspace

# What a run may choose, and what it gets when it does not. An empty scale is that of the data, at first 1.
_PARAMETERS = {
    "scale": "",
    "exercises": "concepts,windows,event_hubs",
    "size": "1 hour",
    "slide": "15 minutes",
    "watermark": "2 hours",
    "rate": "1000",
}


class JobsArgs(TypedDict):
    """What the jobs run, where and as whom."""

    lab: Lab
    """Configuration, names, the wheel and the notebooks."""
    workspace: Workspace
    """The workspace that gets them."""
    storage: Storage
    """The storage that the jobs read and write."""
    access: Access
    """The person that the jobs run as."""
    event_hubs: EventHubs
    """The hub that the jobs write and read."""
    secrets: Secrets
    """The scope with the connection strings."""
    cluster: Compute
    """The cluster that runs the jobs."""


class Jobs(pulumi.ComponentResource):
    """The job `exercises`, bounded and on a schedule, and the job `live`, which goes on until it is stopped."""

    exercises: pulumi.Output[str]
    """Id of the job `exercises`."""
    live: pulumi.Output[str]
    """Id of the job `live`."""
    wheel: pulumi.Output[str]
    """Path of the wheel, as a library."""

    def __init__(self, name: str, args: JobsArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("lab:infra:Jobs", name, {}, opts)
        config, names, workspace = args["lab"].config, args["lab"].names, args["workspace"]
        files = self._upload(args)
        scope = pulumi.Output.concat("--scope=", args["secrets"].scope)
        group = pulumi.Output.concat("--consumer-group=", args["event_hubs"].consumer_group)
        root = pulumi.Output.concat("--root=", args["storage"].root)

        def task(
            entry_point: str,
            parameters: Iterable[pulumi.Input[str]],
            *,
            dataset: str = "exercises",
            after: Sequence[str] = (),
            streaming: bool = False,
        ) -> databricks.JobTaskArgsDict:
            common: list[pulumi.Input[str]] = [root, f"--dataset={dataset}"]
            if streaming:
                common.append(f"--control={names.control}")
            made: databricks.JobTaskArgsDict = {
                "task_key": entry_point,
                "existing_cluster_id": args["cluster"].cluster_id,
                "libraries": [{"whl": self.wheel}],
                "python_wheel_task": {
                    "package_name": PACKAGE,
                    "entry_point": entry_point,
                    "parameters": [*common, *parameters],
                },
            }
            if after:
                # Databricks gives them back in this order.
                made["depends_ons"] = [{"task_key": key} for key in sorted(after)]
            return made

        run_as: pulumi.Output[Any] = args["access"].person.apply(_run_as)
        # A job may start at once, and needs what its run needs.
        ready = workspace.inside(self, [args["access"], args["cluster"], *files])
        exercises = databricks.Job(
            "exercises",
            name="exercises",
            description="Make the data, run the three exercises, prove their numbers",
            run_as=run_as,
            max_concurrent_runs=1,
            schedule={
                "quartz_cron_expression": config.exercises_cron,
                "timezone_id": config.exercises_timezone,
                "pause_status": _pause(config.exercises_paused),
            },
            parameters=[
                databricks.JobParameterArgs(name=key, default=value) for key, value in sorted(_PARAMETERS.items())
            ],
            tasks=_sorted(
                [
                    task("generate", [f"--seed={config.seed}", *_given("scale")]),
                    task("concepts", [], after=["generate"], streaming=True),
                    task("windows", _given("size", "slide", "watermark"), after=["generate"], streaming=True),
                    task("publish", [scope, group, *_given("rate")], after=["generate"], streaming=True),
                    task("event_hubs", [scope, group], after=["publish"], streaming=True),
                    task("verify", [*_given("exercises"), scope, group], after=["concepts", "event_hubs", "windows"]),
                ]
            ),
            tags=config.tags,
            opts=ready,
        )
        # Databricks refuses dependencies and retries in a continuous job.
        live = databricks.Job(
            "live",
            name="live",
            description="The streams of the exercises, until somebody stops them",
            run_as=run_as,
            max_concurrent_runs=1,
            continuous={"pause_status": _pause(config.live_paused)},
            tasks=_sorted(
                [
                    task("publish", ["--continuous", scope, group], dataset="live", streaming=True),
                    task("windows", ["--continuous"], dataset="live", streaming=True),
                    task("event_hubs", ["--continuous", scope, group], dataset="live", streaming=True),
                ]
            ),
            tags=config.tags,
            opts=ready,
        )
        self.exercises, self.live = exercises.id, live.id
        if config.student_email:
            for job in (exercises, live):
                self._permit(args, f"{job.pulumi_resource_name}-permissions", "CAN_MANAGE_RUN", job_id=job.id)
        self.register_outputs({"exercises": self.exercises, "live": self.live, "wheel": self.wheel})

    def _upload(self, args: JobsArgs) -> list[pulumi.Resource]:
        """Put the wheel and the notebooks into the lab's folder; returns what must exist before a run."""
        names, content, workspace = args["lab"].names, args["lab"].content, args["workspace"]
        home = databricks.Directory("home", path=names.home, delete_recursive=True, opts=workspace.inside(self))
        below = workspace.inside(self, [home])
        control = databricks.Directory("control", path=names.control, delete_recursive=True, opts=below)
        wheel = databricks.WorkspaceFile(
            "wheel",
            # A running cluster never reinstalls a path that it knows: the name carries the content's hash.
            path=f"{names.home}/wheels/{content.wheel_name}",
            content_base64=base64.b64encode(content.wheel).decode(),
            # A run that began before may install the earlier wheel yet (databricks/cli#2958). The folder takes the
            # files with it in the end.
            opts=ResourceOptions.merge(below, ResourceOptions(retain_on_delete=True)),
        )
        # Imported in parallel into a folder that doesn't exist, notebooks race to create it, and some of them fail.
        folder = databricks.Directory("notebooks", path=names.notebooks, delete_recursive=True, opts=below)
        for notebook, source in content.notebooks.items():
            databricks.Notebook(
                notebook,
                path=f"{names.notebooks}/{notebook}",
                language="PYTHON",
                content_base64=base64.b64encode(source).decode(),
                opts=workspace.inside(self, [folder]),
            )
        self.wheel = pulumi.Output.concat("/Workspace", wheel.path)
        if args["lab"].config.student_email:
            # The student works in the lab's folder, and so do the student's runs.
            return [control, self._permit(args, "home-permissions", "CAN_EDIT", directory_path=home.path)]
        return [control]

    def _permit(self, args: JobsArgs, name: str, level: str, **target: Any) -> databricks.Permissions:
        return databricks.Permissions(
            name,
            access_controls=[{"user_name": args["access"].person, "permission_level": level}],
            opts=args["workspace"].inside(self),
            **target,
        )


def _sorted(tasks: list[databricks.JobTaskArgsDict]) -> list[databricks.JobTaskArgsDict]:
    """By key, as the provider reads them back."""
    return sorted(tasks, key=lambda task: str(task["task_key"]))


def _given(*parameters: str) -> list[str]:
    return [f"--{name}={{{{job.parameters.{name}}}}}" for name in parameters]


def _run_as(person: str) -> databricks.JobRunAsArgs:
    """Who deploys may be a service principal, whose user name is its application id."""
    if "@" in person:
        return databricks.JobRunAsArgs(user_name=person)
    return databricks.JobRunAsArgs(service_principal_name=person)


def _pause(paused: bool) -> str:
    return "PAUSED" if paused else "UNPAUSED"
