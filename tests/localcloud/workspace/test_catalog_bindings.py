"""The calls of Unity Catalog that clients send for each isolated credential and location."""

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, NotFound
from databricks.sdk.service import catalog

from localcloud.workspace import Workspace


@pytest.fixture
def location(workspace: Workspace, connector: str, storage: str) -> str:
    """The name of an external location, and of its credential."""
    identity = {"access_connector_id": connector}
    workspace.catalog.create_credential({"name": "lab", "azure_managed_identity": identity}, workspace.developer)
    url = "abfss://lab@stlab.dfs.core.windows.net/"
    body = {"name": "lab", "url": url, "credential_name": "lab", "skip_validation": True}
    workspace.catalog.create_location(body, workspace.developer)
    return "lab"


def test_a_workspace_knows_its_metastore(client: WorkspaceClient, workspace: Workspace) -> None:
    assignment = client.metastores.current()
    assert assignment.metastore_id == client.metastores.summary().metastore_id
    assert str(assignment.workspace_id) == workspace.workspace_id


@pytest.mark.parametrize("securable", ["storage_credential", "external_location"])
def test_securables_are_bound_to_workspaces(client: WorkspaceClient, location: str, securable: str) -> None:
    def bound() -> list[tuple[int, str]]:
        found = client.workspace_bindings.get_bindings(securable, location)
        return [(item.workspace_id, item.binding_type.value if item.binding_type else "") for item in found]

    assert bound() == []
    client.workspace_bindings.update_bindings(securable, location, add=[catalog.WorkspaceBinding(1)])
    read_only = catalog.WorkspaceBinding(2, catalog.WorkspaceBindingBindingType.BINDING_TYPE_READ_ONLY)
    answer = client.workspace_bindings.update_bindings(securable, location, add=[read_only])
    assert len(answer.bindings or []) == 2
    assert bound() == [(1, "BINDING_TYPE_READ_WRITE"), (2, "BINDING_TYPE_READ_ONLY")]
    client.workspace_bindings.update_bindings(securable, location, remove=[read_only])
    assert bound() == [(1, "BINDING_TYPE_READ_WRITE")]


def test_bindings_go_with_their_securable(client: WorkspaceClient, workspace: Workspace, location: str) -> None:
    client.workspace_bindings.update_bindings("external_location", location, add=[catalog.WorkspaceBinding(1)])
    body = workspace.catalog.location(location)
    client.external_locations.delete(location)
    with pytest.raises(NotFound, match="External Location 'lab' does not exist"):
        list(client.workspace_bindings.get_bindings("external_location", location))
    workspace.catalog.create_location({**body, "skip_validation": True}, workspace.developer)
    assert list(client.workspace_bindings.get_bindings("external_location", location)) == []
    with pytest.raises(InvalidParameterValue, match="is no securable of the local metastore"):
        list(client.workspace_bindings.get_bindings("catalog", location))
