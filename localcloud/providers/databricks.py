"""The databricks provider, on the local workspaces.

What replaces, what is authoritative and what is filled in: terraform-provider-databricks, which the published plugin
wraps. What the service refuses: `localcloud.workspace`.
"""

from collections.abc import Mapping

from localcloud.providers.base import Failure, Invoke, Provider, ProviderError, ResourceType
from localcloud.providers.databricks_access import (
    ExternalLocation,
    Grants,
    Permissions,
    StorageCredential,
    User,
    current_user,
)
from localcloud.providers.databricks_base import WorkspaceResource, host_name, known
from localcloud.providers.databricks_compute import Cluster, ClusterPolicy, Job
from localcloud.providers.databricks_files import Directory, Notebook, Secret, SecretAcl, SecretScope, WorkspaceFile
from localcloud.providers.schema import load
from localcloud.providers.wire import Props
from localcloud.workspace import Workspace, Workspaces

_TYPES: tuple[type[WorkspaceResource], ...] = (
    SecretScope, Secret, SecretAcl, ClusterPolicy, Cluster, Job, Directory, Notebook, WorkspaceFile, Permissions, User,
    StorageCredential, ExternalLocation, Grants,
)  # fmt: skip
_AUTH_TYPES = ("azure-cli", "azure-client-secret", "github-oidc-azure", "pat", "azure-msi")
# What the engine itself puts beside a provider's own properties.
_ENGINE_KEYS = ("version", "pluginDownloadURL", "pluginChecksums", "__internal")


class Databricks(Provider):
    """The package databricks. Each provider instance is for one workspace, which its host names."""

    name = "databricks"

    def __init__(self, workspaces: Workspaces) -> None:
        self._workspaces = workspaces
        self.schema = load("databricks")
        self.version = self.schema.version
        self._types: dict[str, ResourceType] = {kind.token: kind(workspaces) for kind in _TYPES}

    @property
    def resource_types(self) -> Mapping[str, ResourceType]:
        """The types that a workspace and its metastore are made of."""
        return self._types

    @property
    def invokes(self) -> Mapping[str, Invoke]:
        """Who is signed in."""
        return {
            "databricks:index/getCurrentUser:getCurrentUser": lambda session, args: current_user(
                self._workspace(session.config)
            )
        }

    def check_config(self, inputs: Props) -> tuple[Props, list[Failure]]:
        """The host must be a workspace of this cloud, and the resource id, if given, must be that workspace's."""
        own = {name: value for name, value in inputs.items() if name not in _ENGINE_KEYS}
        _, problems = self.schema.check("pulumi:providers:databricks", own)
        failures = [Failure(path, reason) for path, reason in problems]
        auth = inputs.get("authType")
        if known(auth) and auth not in _AUTH_TYPES:
            failures.append(Failure(("authType",), f"'{auth}' is none of {', '.join(_AUTH_TYPES)}"))
        if inputs.get("host") is None:
            failures.append(Failure(("host",), "missing required property 'host': the address of a workspace"))
        elif known(inputs["host"]):
            failures += self._check_host(inputs)
        return inputs, failures

    def _check_host(self, inputs: Props) -> list[Failure]:
        host = host_name(inputs)
        workspace = self._workspaces.get(host)
        if workspace is None:
            offered = ", ".join(self._workspaces.urls()) or "it has none"
            return [Failure(("host",), f"'{host}' is no workspace of this cloud (its workspaces: {offered})")]
        resource = inputs.get("azureWorkspaceResourceId")
        if known(resource) and str(resource).lower() != workspace.info.resource_id.lower():
            reason = f"'{resource}' is not the workspace at {host}, which is {workspace.info.resource_id}"
            return [Failure(("azureWorkspaceResourceId",), reason)]
        return []

    def _workspace(self, config: Props) -> Workspace:
        found = self._workspaces.get(host_name(config))
        if found is None:
            raise ProviderError(f"host '{host_name(config)}' is no workspace of this cloud")
        return found
