"""A complete streaming lab for one student: Event Hubs, storage, Databricks, jobs."""

from pathlib import Path

import pulumi
from pulumi_azure_native import resources

from infra import access, budget, compute, event_hubs, jobs, secrets, stack, storage, workspace

lab = stack.load(Path(__file__).resolve().parent)
names = lab.names

group = resources.ResourceGroup(
    "lab", resource_group_name=names.resource_group, location=lab.config.location, tags=lab.config.tags
)
budget.Budget("budget", {"lab": lab})
hubs = event_hubs.EventHubs("event-hubs", {"lab": lab, "resource_group": group.name})
store = storage.Storage("storage", {"lab": lab, "resource_group": group.name})
databricks = workspace.Workspace("workspace", {"lab": lab, "resource_group": group.name})
entry = access.Access("access", {"lab": lab, "resource_group": group.name, "storage": store, "workspace": databricks})
inside = {"lab": lab, "workspace": databricks, "storage": store, "access": entry}
scope = secrets.Secrets("secrets", {**inside, "event_hubs": hubs})
cluster = compute.Compute("compute", {**inside, "secrets": scope})
runs = jobs.Jobs("jobs", {**inside, "event_hubs": hubs, "secrets": scope, "cluster": cluster})

outputs = {
    "student": lab.config.student,
    "seed": lab.config.seed,
    "location": lab.config.location,
    "noPublicIp": lab.config.no_public_ip,
    "subscriptionId": names.subscription,
    "resourceGroup": names.resource_group,
    "managedResourceGroup": names.managed_resource_group,
    "namespace": names.namespace,
    "hub": names.hub,
    "consumerGroup": names.consumer_group,
    "storageAccess": lab.config.storage_access,
    "storageAccount": names.storage_account,
    "container": names.container,
    "root": names.root,
    "workspaceName": names.workspace,
    "workspaceUrl": databricks.url,
    "workspaceResourceId": databricks.resource.id,
    "home": names.home,
    "control": names.control,
    "notebooks": names.notebooks,
    "secretScope": names.workspace_object,
    "clusterId": cluster.cluster_id,
    "runAs": entry.person,
    "exercisesJobId": runs.exercises,
    "liveJobId": runs.live,
    "wheel": runs.wheel,
    **entry.metastore_objects,
}
for key, value in outputs.items():
    pulumi.export(key, value)
