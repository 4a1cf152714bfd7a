"""Creates whose outcome Pulumi's record doesn't show: the engine was killed, or the answer never arrived.

The cloud may hold the resource all the same, and creating one that exists is refused. Every name of the lab is
deterministic, so the cloud can be asked.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.clouds import Cloud
from lab.project import write_private
from lab.report import Report
from lab.state import State

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

    from lab.arm import Arm
    from lab.engine import Engine

Inputs = Mapping[str, Any]

_IN_GROUP = "/subscriptions/{subscription}/resourceGroups/{resourceGroupName}"
_HUBS = f"{_IN_GROUP}/providers/Microsoft.EventHub/namespaces/{{namespaceName}}"
_STORAGE = f"{_IN_GROUP}/providers/Microsoft.Storage/storageAccounts/{{accountName}}"
_DATABRICKS = f"{_IN_GROUP}/providers/Microsoft.Databricks"

# The ARM id of each type the program makes, from its inputs (azure-native's resource ids).
ARM_IDS = {
    "azure-native:resources:ResourceGroup": _IN_GROUP,
    "azure-native:eventhub:Namespace": _HUBS,
    "azure-native:eventhub:EventHub": f"{_HUBS}/eventhubs/{{eventHubName}}",
    "azure-native:eventhub:ConsumerGroup": f"{_HUBS}/eventhubs/{{eventHubName}}/consumergroups/{{consumerGroupName}}",
    "azure-native:eventhub:EventHubAuthorizationRule": (
        f"{_HUBS}/eventhubs/{{eventHubName}}/authorizationRules/{{authorizationRuleName}}"
    ),
    "azure-native:storage:StorageAccount": _STORAGE,
    "azure-native:storage:BlobContainer": f"{_STORAGE}/blobServices/default/containers/{{containerName}}",
    "azure-native:storage:ManagementPolicy": f"{_STORAGE}/managementPolicies/default",
    "azure-native:databricks:Workspace": f"{_DATABRICKS}/workspaces/{{workspaceName}}",
    "azure-native:databricks:AccessConnector": f"{_DATABRICKS}/accessConnectors/{{connectorName}}",
    "azure-native:authorization:RoleAssignment": (
        "/{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}"
    ),
    "azure-native:consumption:Budget": "/{scope}/providers/Microsoft.Consumption/budgets/{budgetName}",
}


def arm_id(resource_type: str, inputs: Inputs, subscription: str) -> str | None:
    """The ARM id that a resource with these inputs gets, or None where the inputs do not tell."""
    pattern = ARM_IDS.get(resource_type)
    if pattern is None:
        return None
    values = {key: str(value) for key, value in inputs.items() if isinstance(value, str)}
    values = {"subscription": subscription, **values, "scope": values.get("scope", "").strip("/")}
    try:
        return pattern.format(**values)
    except KeyError:
        return None


def _clusters(workspace: WorkspaceClient, inputs: Inputs) -> None:
    for cluster in workspace.clusters.list():
        if cluster.cluster_name == inputs.get("clusterName") and cluster.cluster_id:
            workspace.clusters.permanent_delete(cluster.cluster_id)


def _jobs(workspace: WorkspaceClient, inputs: Inputs) -> None:
    for job in workspace.jobs.list(name=str(inputs.get("name"))):
        # A student may have a job of the same name.
        if job.job_id and job.settings and job.settings.tags == inputs.get("tags"):
            workspace.jobs.delete(job.job_id)


def _policies(workspace: WorkspaceClient, inputs: Inputs) -> None:
    for policy in workspace.cluster_policies.list():
        if policy.name == inputs.get("name") and policy.policy_id:
            workspace.cluster_policies.delete(policy.policy_id)


def _scopes(workspace: WorkspaceClient, inputs: Inputs) -> None:
    if any(scope.name == inputs.get("name") for scope in workspace.secrets.list_scopes()):
        workspace.secrets.delete_scope(str(inputs["name"]))


def _external_locations(workspace: WorkspaceClient, inputs: Inputs) -> None:
    workspace.external_locations.delete(str(inputs["name"]), force=True)


def _storage_credentials(workspace: WorkspaceClient, inputs: Inputs) -> None:
    workspace.storage_credentials.delete(str(inputs["name"]), force=True)


# Databricks gives ids of its own, so a half-made one is found by its name and made anew: each takes seconds. The types
# that are missing here (files, notebooks, secrets, permissions, grants) are written over by their next create.
HALF_MADE: dict[str, Callable[[WorkspaceClient, Inputs], None]] = {
    "databricks:index/cluster:Cluster": _clusters,
    "databricks:index/job:Job": _jobs,
    "databricks:index/clusterPolicy:ClusterPolicy": _policies,
    "databricks:index/secretScope:SecretScope": _scopes,
    "databricks:index/externalLocation:ExternalLocation": _external_locations,
    "databricks:index/storageCredential:StorageCredential": _storage_credentials,
}


def remember_failed(cloud: Cloud, student: str, creates: Sequence[Mapping[str, Any]]) -> None:
    """Keep the creates that failed in the last `up`, in place of earlier ones: Pulumi records none of them.

    creates: `urn`, `type`, `custom`, `inputs`, `parent` and `provider` of each, as in the record
    """
    file = _failed_file(cloud, student)
    if creates:
        write_private(file, json.dumps(creates))
    else:
        file.unlink(missing_ok=True)


def finish_interrupted(engine: Engine, cloud: Cloud, state: State, report: Report) -> int:
    """Bring the stack's record and the cloud together; returns how many resources the record gained.

    Does nothing when no engine was killed and no create failed.
    """
    recorded = {resource["urn"] for resource in state.resources}
    pending = [one["resource"] for one in state.pending if one.get("type") == "creating"]
    # The old resource of a replacement has the same URN, and the same name: it must not be taken for the new one.
    begun = {one["urn"]: one for one in [*_failed(cloud, engine.student), *pending] if one["urn"] not in recorded}
    # Adopted by an earlier call that was itself killed before it had the outputs.
    blank = [one for one in state.own if one["type"] in ARM_IDS and one.get("id") and not one.get("outputs")]
    if begun or pending or blank:
        report.now("finding what an interrupted run left behind")
    adopted: list[dict[str, Any]] = []
    if begun:
        _delete_half_made(cloud, state, list(begun.values()))
        adopted = _existing(cloud.arm(), list(begun.values()))
    if adopted or pending:
        _rewrite(engine, adopted)
        report.line("resumed", f"an interrupted run; {len(adopted)} of its {len(begun)} open creates had succeeded")
    if blank := [*blank, *adopted]:
        # Has the provider fill in the outputs.
        targets = [word for resource in blank for word in ("--target", resource["urn"])]
        engine.command("refresh", "--yes", "--skip-preview", *targets)
    remember_failed(cloud, engine.student, ())
    return len(adopted)


def _failed(cloud: Cloud, student: str) -> list[dict[str, Any]]:
    """The creates that `remember_failed` kept."""
    try:
        return list(json.loads(_failed_file(cloud, student).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return []


def _failed_file(cloud: Cloud, student: str) -> Path:
    return cloud.folder / "failed" / f"{student}.json"


def _existing(arm: Arm, begun: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those resources under creation that the cloud has, with their ids.

    One with the tags of another student or course is not what was being created, though it has its name.
    """
    found = []
    for resource in begun:
        inputs = resource.get("inputs") or {}
        identity = arm_id(resource["type"], inputs, arm.subscription)
        there = arm.created(identity) if identity else None
        if there is not None and _owner(there) == _owner(inputs):
            found.append({**resource, "id": identity})
    return found


def _owner(tagged: Mapping[str, Any]) -> tuple[Any, Any]:
    tags = tagged.get("tags") or {}
    return tags.get("student"), tags.get("course")


# What the metastore and the account keep when a workspace is gone, with the input that names it.
_OUTLIVING = {
    "databricks:index/externalLocation:ExternalLocation": ("external location", "name"),
    "databricks:index/storageCredential:StorageCredential": ("storage credential", "name"),
    "databricks:index/user:User": ("user", "userName"),
}


def forget_lost_workspace(engine: Engine, cloud: Cloud, state: State) -> list[str]:
    """Drop everything of Databricks from the record when its workspace is gone: nothing there can be deleted.

    Returns what the metastore and the account may still have, in words; empty when the workspace is there.
    """
    workspaces = [one for one in state.own if one["type"] == "azure-native:databricks:Workspace" and one.get("id")]
    lost = [one for one in state.own if one["type"].startswith("databricks:")]
    if not lost or not workspaces or cloud.arm().exists(workspaces[0]["id"]):
        return []
    urns = {one["urn"] for one in lost}

    def drop(deployment: dict[str, Any]) -> None:
        deployment["resources"] = [one for one in deployment["resources"] if one["urn"] not in urns]

    _edit(engine, drop)
    named = [(_OUTLIVING[one["type"]], one.get("inputs") or {}) for one in lost if one["type"] in _OUTLIVING]
    return [f"{what} {inputs.get(key)}" for (what, key), inputs in named]


def _rewrite(engine: Engine, adopted: list[dict[str, Any]]) -> None:
    """Put the adopted resources into the record, and drop the open creates.

    `refresh --import-pending-creates` would be the short way, but CLI 3.259 drops the creates without importing them.
    """

    def adopt(deployment: dict[str, Any]) -> None:
        # What was being created depends on nothing else that was: the end is the right place for all of them.
        deployment["resources"] = [*deployment["resources"], *adopted]
        deployment["pending_operations"] = [
            one for one in deployment.get("pending_operations") or [] if one["type"] != "creating"
        ]

    _edit(engine, adopt)


def _edit(engine: Engine, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the stack's deployment, as `pulumi stack export` and `import` have it."""
    exported = json.loads(engine.command("stack", "export"))
    change(exported["deployment"])
    file = engine.cloud.folder / f"{engine.student}.import.json"
    write_private(file, json.dumps(exported))
    try:
        engine.command("stack", "import", "--file", str(file))
    finally:
        file.unlink()


def _delete_half_made(cloud: Cloud, state: State, begun: list[dict[str, Any]]) -> None:
    half_made = [resource for resource in begun if resource["type"] in HALF_MADE]
    made = [one for one in state.resources if one["type"] == "azure-native:databricks:Workspace" and one.get("outputs")]
    if not half_made or not made:
        return
    from databricks.sdk.errors import NotFound

    workspace = cloud.workspace({**made[0]["outputs"], "workspaceResourceId": made[0]["id"]})
    for resource in half_made:
        with contextlib.suppress(NotFound):
            HALF_MADE[resource["type"]](workspace, resource.get("inputs") or {})
