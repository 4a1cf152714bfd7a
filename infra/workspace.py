"""The Databricks workspace, and the provider for what goes into it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import pulumi
import pulumi_databricks as databricks
from pulumi import ResourceOptions
from pulumi_azure_native import databricks as azure_databricks

from infra.stack import Lab


class WorkspaceArgs(TypedDict):
    """Where the workspace goes."""

    lab: Lab
    """Configuration and names."""
    resource_group: pulumi.Output[str]
    """Name of the resource group."""


class Workspace(pulumi.ComponentResource):
    """A premium workspace with classic compute, and a provider that can reach nothing else."""

    resource: azure_databricks.Workspace
    """The workspace itself."""
    provider: databricks.Provider
    """Provider for everything inside the workspace."""
    url: pulumi.Output[str]
    """Host name, without a scheme."""

    def __init__(self, name: str, args: WorkspaceArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("lab:infra:Workspace", name, {}, opts)
        config, names = args["lab"].config, args["lab"].names
        self.resource = azure_databricks.Workspace(
            "workspace",
            resource_group_name=args["resource_group"],
            workspace_name=names.workspace,
            location=config.location,
            compute_mode=azure_databricks.ComputeMode.HYBRID,
            # Azure refuses the name in any other case.
            sku={"name": "premium"},
            # The workspace creates this group itself, and refuses one that exists.
            managed_resource_group_id=names.managed_resource_group_id,
            parameters={"enable_no_public_ip": {"value": config.no_public_ip}},
            tags=config.tags,
            opts=ResourceOptions(parent=self),
        )
        self.url = self.resource.workspace_url
        self.provider = databricks.Provider(
            "databricks",
            host=pulumi.Output.concat("https://", self.url),
            azure_workspace_resource_id=self.resource.id,
            # Pinned, or a token in the environment would take precedence and reach another workspace.
            auth_type="azure-cli",
            opts=ResourceOptions(parent=self),
        )
        self.register_outputs({"url": self.url})

    def inside(
        self, parent: pulumi.Resource, depends_on: Sequence[pulumi.Input[pulumi.Resource]] = ()
    ) -> ResourceOptions:
        """Options for what lives in the workspace and goes with it: it need not be deleted one by one."""
        return ResourceOptions(
            parent=parent, provider=self.provider, deleted_with=self.resource, depends_on=list(depends_on)
        )

    def outliving(
        self, parent: pulumi.Resource, depends_on: Sequence[pulumi.Input[pulumi.Resource]] = ()
    ) -> ResourceOptions:
        """Options for what lives in the account or the metastore: it must really be deleted, before the workspace."""
        return ResourceOptions(parent=parent, provider=self.provider, depends_on=[self.resource, *depends_on])
