"""The cluster, and the policy that keeps it small."""

from __future__ import annotations

import json
from typing import TypedDict

import pulumi
import pulumi_databricks as databricks
from pulumi import ResourceOptions

from infra.access import Access
from infra.secrets import STORAGE_KEY, Secrets
from infra.stack import Lab
from infra.storage import Storage
from infra.workspace import Workspace

_MODE = "SINGLE_USER"
_AVAILABILITY = "ON_DEMAND_AZURE"

# The older way to write a single node. With `kind` and `is_single_node` the service adds these settings by itself, the
# provider reports them as a difference on every `up`, and the edit restarts a running cluster
# (terraform-provider-databricks#4360).
_SINGLE_NODE_CONF = {"spark.databricks.cluster.profile": "singleNode", "spark.master": "local[*]"}
_SINGLE_NODE_TAGS = {"ResourceClass": "SingleNode"}


class ComputeArgs(TypedDict):
    """What the cluster is for."""

    lab: Lab
    """Configuration and names."""
    workspace: Workspace
    """The workspace that gets the cluster."""
    storage: Storage
    """The storage that the cluster reads and writes."""
    secrets: Secrets
    """The scope with the storage key, where there is one."""
    access: Access
    """The only person whose code the cluster runs."""


class Compute(pulumi.ComponentResource):
    """One machine for one person, which ends when it is idle."""

    cluster_id: pulumi.Output[str]
    """Id of the cluster."""

    def __init__(self, name: str, args: ComputeArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("lab:infra:Compute", name, {}, opts)
        lab, workspace = args["lab"], args["workspace"]
        policy = databricks.ClusterPolicy(
            "policy",
            name=lab.names.workspace_object,
            definition=json.dumps(_policy(lab), sort_keys=True),
            description="One small machine that ends when it is idle",
            opts=workspace.inside(self),
        )
        cluster = databricks.Cluster(
            "cluster",
            cluster_name=lab.names.workspace_object,
            policy_id=policy.id,
            num_workers=0,
            data_security_mode=_MODE,
            single_user_name=args["access"].person,
            node_type_id=lab.config.node_type,
            driver_node_type_id=lab.config.node_type,
            spark_version=lab.config.spark_version,
            # Photon costs twice as much and has nothing for these streams.
            runtime_engine="STANDARD",
            autotermination_minutes=lab.config.autotermination_minutes,
            azure_attributes={"availability": _AVAILABILITY, "first_on_demand": 1},
            spark_conf={**_SINGLE_NODE_CONF, **self._storage_key(args)},
            # The workspace's tags are inherited; the same keys here would come back with the prefix `x_`
            # (terraform-provider-databricks#1637).
            custom_tags=_SINGLE_NODE_TAGS,
            # A machine takes minutes to start, and a run waits for it anyway.
            no_wait=True,
            # Databricks deletes an unpinned cluster 30 days after it terminated, and the jobs would keep its id.
            is_pinned=True,
            opts=workspace.inside(self, args["secrets"].all),
        )
        if lab.config.student_email:
            databricks.Permissions(
                "cluster-permissions",
                cluster_id=cluster.id,
                # A task installs its wheel, which needs CAN_MANAGE.
                access_controls=[{"user_name": args["access"].person, "permission_level": "CAN_MANAGE"}],
                opts=workspace.inside(self),
            )
        self.cluster_id = cluster.id
        self.register_outputs({"clusterId": self.cluster_id})

    def _storage_key(self, args: ComputeArgs) -> dict[str, pulumi.Input[str]]:
        """In key mode, where the cluster finds the account's key: a reference, never the key."""
        if args["storage"].key is None:
            return {}
        setting = f"spark.hadoop.fs.azure.account.key.{args['lab'].names.storage_account}.dfs.core.windows.net"
        return {setting: pulumi.Output.format("{{{{secrets/{0}/{1}}}}}", args["secrets"].scope, STORAGE_KEY)}


def _policy(lab: Lab) -> dict[str, dict[str, object]]:
    config = lab.config
    return {
        "azure_attributes.availability": {"type": "fixed", "value": _AVAILABILITY},
        "autoscale.max_workers": {"type": "forbidden"},
        "autotermination_minutes": {"type": "range", "minValue": 10, "maxValue": config.autotermination_minutes},
        "data_security_mode": {"type": "fixed", "value": _MODE},
        "driver_node_type_id": {"type": "fixed", "value": config.node_type},
        "node_type_id": {"type": "fixed", "value": config.node_type},
        "num_workers": {"type": "fixed", "value": 0},
        "runtime_engine": {"type": "fixed", "value": "STANDARD"},
        "spark_version": {"type": "fixed", "value": config.spark_version},
        **{f"spark_conf.{key}": {"type": "fixed", "value": value} for key, value in _SINGLE_NODE_CONF.items()},
        **{f"custom_tags.{tag}": {"type": "fixed", "value": value} for tag, value in _SINGLE_NODE_TAGS.items()},
    }
