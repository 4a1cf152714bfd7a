"""Cluster policies, clusters and jobs of the databricks provider."""

import time
from typing import ClassVar

from localcloud.errors import DatabricksError
from localcloud.providers.base import Diff, Failure, ProviderError, Session, compare
from localcloud.providers.databricks_base import WorkspaceResource, known, not_one_of, type_token
from localcloud.providers.databricks_shape import placeholders, snake, to_service
from localcloud.providers.wire import UNKNOWN, Props, has_unknown
from localcloud.workspace import Workspace, cluster_spec, job_settings, policies
from localcloud.workspace.node_types import NODE_TYPES, SPARK_VERSIONS
from localcloud.workspace.shelf import Record

# Arguments of Terraform's provider that the service never sees.
_CLUSTER_EXTRAS = ("no_wait", "is_pinned", "idempotency_token")
# What the program asks for and the service adds to.
_ANSWERED_MAPS = ("sparkConf", "customTags")
_JOB_EXTRAS = ("control_run_state", "always_running")
# Seconds for which an edit is repeated while the cluster is in another state (resource_cluster.go).
_EDIT_LIMIT = 900.0
_ANY_CLUSTER = {"node_type_id": next(iter(NODE_TYPES)), "spark_version": next(iter(SPARK_VERSIONS))}
_ANY_TASK = {
    "existing_cluster_id": "unknown",
    "whl": "/unknown-1-py3-none-any.whl",
    "default": "unknown",
    "notebook_path": "/unknown",
    "package_name": "unknown",
    "entry_point": "unknown",
}


class ClusterPolicy(WorkspaceResource):
    """A cluster policy (resource_cluster_policy.go)."""

    token = type_token("ClusterPolicy")
    auto_named = True
    answers = ("policy_id",)

    def rules(self, session: Session, inputs: Props, body: Record) -> list[Failure]:
        """The definition."""
        if "definition" not in inputs:
            return [Failure(("definition",), "missing required property 'definition'")]
        if known(inputs["definition"]):
            policies.parse(inputs["definition"])
        return []

    def make(self, workspace: Workspace, body: Record) -> str:
        """Create the policy."""
        return str(workspace.policies.create(body, workspace.developer)["policy_id"])

    def find(self, workspace: Workspace, id: str) -> Record:
        """The policy."""
        return workspace.policies.get(id)

    def change(self, workspace: Workspace, id: str, body: Record) -> None:
        """Replace the definition."""
        workspace.policies.edit(id, body, workspace.developer)

    def remove(self, workspace: Workspace, id: str, outputs: Props) -> None:
        """Delete the policy."""
        workspace.policies.delete(id, workspace.developer)


class Cluster(WorkspaceResource):
    """An all-purpose cluster (resource_cluster.go).

    It starts when it is created: `noWait`, which the local cloud always assumes, skips the waiting alone.
    """

    token = type_token("Cluster")
    replace_on = frozenset({("idempotencyToken",)})
    # clusters_api.go: auto-termination is on unless 0 says otherwise.
    defaults: ClassVar[Props] = {"autoterminationMinutes": 60}
    answers = (
        "cluster_id", "state", "driver_node_type_id", "node_type_id", "single_user_name", "spark_conf", "custom_tags",
    )  # fmt: skip

    def rules(self, session: Session, inputs: Props, body: Record) -> list[Failure]:
        """The service's rules; what a policy may fill in is not asked for."""
        offered = (*cluster_spec.FIELDS, *_CLUSTER_EXTRAS)
        failures = [
            Failure((name,), f"'{name}' of a cluster is not offered by the local cloud")
            for name, value in inputs.items()
            if snake(name) not in (*offered, "provider_config") and value
        ]
        # The service has more engines than the published plugin knows (resource_cluster.go).
        failures += not_one_of(inputs, "runtimeEngine", ("PHOTON", "STANDARD"))
        spec = placeholders(_cluster(body), _ANY_CLUSTER)
        if "policyId" in inputs:
            spec = {**_ANY_CLUSTER, **spec}
        if not failures:
            cluster_spec.check(spec)
        return failures

    def diff(self, session: Session, id: str, outputs: Props, olds: Props, news: Props) -> Diff:
        """What changes, also against the service's own answer: what it added is a difference on every update.

        The bridge compares with the state. Its other additions are in computed fields, in which nothing is asked for
        (terraform-provider-databricks#4360 and #1637).
        """
        changes = super().diff(session, id, outputs, olds, news).changes
        for name in _ANSWERED_MAPS:
            if not has_unknown(news.get(name)):
                changes |= compare(outputs.get(name) or {}, news.get(name) or {}, path=(name,))
        return Diff(changes)

    def make(self, workspace: Workspace, body: Record) -> str:
        """Create the cluster, which begins to start, and pin it if that is asked for."""
        id = str(workspace.clusters.create(_cluster(body), workspace.developer)["cluster_id"])
        if body.get("is_pinned"):
            workspace.clusters.pin(id, workspace.developer)
        return id

    def find(self, workspace: Workspace, id: str) -> Record:
        """The cluster, and whether it is pinned."""
        return {**workspace.clusters.get(id), "is_pinned": workspace.clusters.is_pinned(id)}

    def update(self, session: Session, id: str, outputs: Props, olds: Props, news: Props) -> Props:
        """Edit the cluster, unless only the provider's own arguments differ, and pin or unpin it."""
        workspace = self.workspace(session)
        if {snake(str(path[0])) for path in self.diff(session, id, outputs, olds, news).changes} - {*_CLUSTER_EXTRAS}:
            self.change(workspace, id, to_service(news))
        workspace.clusters.pin(id, workspace.developer, pinned=bool(news.get("isPinned")))
        return self._outputs(workspace, id, news)

    def change(self, workspace: Workspace, id: str, body: Record) -> None:
        """Edit the cluster, once it is in a state that allows it; if it runs, it restarts."""
        deadline = time.monotonic() + _EDIT_LIMIT
        while True:
            try:
                workspace.clusters.edit(id, _cluster(body), workspace.developer)
                return
            except DatabricksError as refusal:
                if refusal.code != "INVALID_STATE" or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def remove(self, workspace: Workspace, id: str, outputs: Props) -> None:
        """Delete the cluster for good, pinned or not."""
        workspace.clusters.pin(id, workspace.developer, pinned=False)
        workspace.clusters.permanent_delete(id, workspace.developer)

    def computed(self, workspace: Workspace, id: str, found: Record) -> Props:
        """Its page and tags."""
        return {
            "url": f"https://{workspace.url}/#setting/clusters/{id}/configuration",
            "defaultTags": found["default_tags"],
        }


class Job(WorkspaceResource):
    """A job (resource_job.go)."""

    token = type_token("Job")
    auto_named = True
    defaults: ClassVar[Props] = {"maxConcurrentRuns": 1}

    def rules(self, session: Session, inputs: Props, body: Record) -> list[Failure]:
        """The service's rules, as far as a preview knows the settings."""
        identity = inputs.get("runAs")
        if isinstance(identity, dict) and len(identity) != 1:
            # ExactlyOneOf (resource_job.go)
            reason = "exactly one of `run_as.0.service_principal_name,run_as.0.user_name` must be specified"
            return [Failure(("runAs",), reason)]
        if not isinstance(body.get("tasks", []), list) or UNKNOWN in body.get("tasks", []):
            return []
        settings = _job(body)
        for trigger in ("schedule", "continuous"):
            if trigger in settings and not known(settings[trigger]):
                del settings[trigger]
        if not known(settings.get("run_as")):
            settings.pop("run_as", None)
        if known(settings.get("max_concurrent_runs", 1)) and known(inputs.get("name")):
            job_settings.check(placeholders(settings, _ANY_TASK), lambda _: True, lambda _: True)
        if inputs.get("controlRunState") and not inputs.get("continuous"):
            return [Failure(("controlRunState",), "`control_run_state` must be specified only with `continuous`")]
        if inputs.get("alwaysRunning"):
            return [Failure(("alwaysRunning",), "'alwaysRunning' is not offered by the local cloud: use continuous")]
        return []

    def make(self, workspace: Workspace, body: Record) -> str:
        """Create the job."""
        return str(workspace.jobs.create(_job(body), workspace.developer)["job_id"])

    def find(self, workspace: Workspace, id: str) -> Record:
        """The job's settings."""
        settings: Record = workspace.jobs.get(_job_id(id))["settings"]
        return settings

    def change(self, workspace: Workspace, id: str, body: Record) -> None:
        """Replace the settings; with controlRunState a continuous job starts anew, with the new ones."""
        workspace.jobs.reset(_job_id(id), _job(body), workspace.developer)
        if body.get("control_run_state"):
            workspace.runs.cancel_all(_job_id(id), workspace.developer)

    def remove(self, workspace: Workspace, id: str, outputs: Props) -> None:
        """Delete the job; active runs end."""
        workspace.delete_job(_job_id(id), workspace.developer)

    def computed(self, workspace: Workspace, id: str, found: Record) -> Props:
        """Its page, and what the service filled in."""
        return {"url": f"https://{workspace.url}/#job/{id}", "format": found["format"]}


def _cluster(body: Record) -> Record:
    spec = {name: item for name, item in body.items() if name not in _CLUSTER_EXTRAS}
    if not spec.get("is_single_node") and not spec.get("autoscale"):
        # num_workers is 0 by default in Terraform's provider.
        spec.setdefault("num_workers", 0)
    return spec


def _job(body: Record) -> Record:
    settings = {name: item for name, item in body.items() if name not in _JOB_EXTRAS}
    tasks = settings.get("tasks") or []
    # The service sorts dependencies, and a diff must not see that.
    return {**settings, "tasks": [dict(task) for task in tasks]}


def _job_id(id: str) -> int:
    if not id.isdigit():
        raise ProviderError(f"'{id}' is no id of a job")
    return int(id)
