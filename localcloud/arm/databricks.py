"""Microsoft.Databricks: workspaces with their managed resource groups, and access connectors.

Rules: azure-rest-api-specs databricks 2026-01-01, terraform-provider-azurerm databricks_workspace_resource.go.
"""

import secrets
import uuid
from typing import Any

from localcloud.arm import ids, names
from localcloud.arm.ids import ResourceId
from localcloud.arm.kind import Kind
from localcloud.arm.storage import ACCOUNT
from localcloud.arm.views import WorkspaceInfo
from localcloud.arm.world import Document, World
from localcloud.errors import AzureError

WORKSPACE = "Microsoft.Databricks/workspaces"
CONNECTOR = "Microsoft.Databricks/accessConnectors"
_NAT = "Microsoft.Network/natGateways"
_IP = "Microsoft.Network/publicIPAddresses"

_SKUS = ("premium", "standard", "trial")
_FIXED = ("storageAccountName", "natGatewayName", "publicIpName", "customVirtualNetworkId")


def _invalid(code: str, message: str) -> AzureError:
    return AzureError(400, code, message)


def _check_name(name: str, kind: str) -> None:
    names.check_name(name, kind, r"[A-Za-z0-9_-]+", (3, 64), "letters, digits, '_' and '-'")


def _value(parameters: dict[str, Any], name: str) -> Any:
    return (parameters.get(name) or {}).get("value")


class WorkspaceKind(Kind):
    """A Databricks workspace. It makes its managed resource group itself."""

    type = WORKSPACE
    tracked = True

    def check_name(self, rid: ResourceId) -> None:
        """3-64 letters, digits, `_` and `-`."""
        _check_name(rid.name, "Databricks workspace")

    def put(self, world: World, rid: ResourceId, body: Document, old: Document | None) -> Document:
        """Hybrid needs a managed group that doesn't exist yet; most properties are fixed."""
        properties = dict(body.get("properties", {}))
        # The name is lower case for the service, unlike other SKUs (terraform-provider-azurerm#2214).
        sku = (body.get("sku") or {}).get("name", "premium")
        if sku not in _SKUS:
            raise _invalid("InvalidSku", f"The SKU '{sku}' is not one of {', '.join(_SKUS)}.")
        mode = properties.get("computeMode")
        managed = properties.get("managedResourceGroupId")
        if mode is None:
            raise _invalid("InvalidRequestContent", "The workspace needs computeMode, Hybrid or Serverless.")
        if mode == "Serverless" and managed:
            raise _invalid("InvalidRequestContent", "A Serverless workspace takes no managedResourceGroupId.")
        if mode == "Hybrid" and not managed:
            raise _invalid("InvalidRequestContent", "A Hybrid workspace needs managedResourceGroupId.")
        parameters = dict(properties.get("parameters") or {})
        if old:
            self._check_update(old["properties"], mode, managed, parameters)
            made = {name: old["properties"][name] for name in ("workspaceId", "workspaceUrl", "createdDateTime")}
        else:
            number = _workspace_number(world)
            made = {
                "workspaceId": str(number),
                "workspaceUrl": f"adb-{number}.{number % 20}.azuredatabricks.net",
                "createdDateTime": f"{world.today().isoformat()}T00:00:00Z",
            }
        private = _value(parameters, "enableNoPublicIp")
        if private is None and old is None:
            # Default true since API version 2024-05-01; an update that leaves it out changes nothing.
            private = True
        if private is not None:
            parameters["enableNoPublicIp"] = {"type": "Bool", "value": private}
        if old is None and managed:
            storage = _make_managed_group(world, rid, managed, body["location"], parameters)
            parameters["storageAccountName"] = {"type": "String", "value": storage}
        elif old:
            parameters = {**old["properties"]["parameters"], **parameters}
        return {
            "location": body["location"],
            "tags": body.get("tags", {}),
            "sku": {"name": sku},
            "properties": {
                "publicNetworkAccess": "Enabled",
                **properties,
                **made,
                "parameters": parameters,
                "isUcEnabled": _unity_catalog(properties),
                "provisioningState": "Succeeded",
            },
        }

    def _check_update(self, was: dict[str, Any], mode: str, managed: str | None, parameters: dict[str, Any]) -> None:
        before = was.get("managedResourceGroupId")
        if (managed or "").lower() != (before or "").lower():
            # azure-docs#21809
            raise _invalid(
                "ApplianceManagedResourceGroupMismatch",
                f"The given managed resource group '{managed}' did not match that in the existing appliance "
                f"definition '{before}'.",
            )
        if mode != was["computeMode"]:
            raise _invalid(
                "InvalidRequestContent", f"computeMode can't be changed from {was['computeMode']} to {mode}."
            )
        fixed = was["parameters"]
        for name in _FIXED:
            after = _value(parameters, name)
            if after is not None and after != _value(fixed, name):
                raise _invalid("InvalidRequestContent", f"The parameter {name} of a workspace can't be changed.")
        private, now_private = _value(fixed, "enableNoPublicIp"), _value(parameters, "enableNoPublicIp")
        injected = _value(fixed, "customVirtualNetworkId")
        if now_private is not None and now_private != private and not (injected and now_private):
            raise _invalid(
                "InvalidRequestContent",
                "The parameter enableNoPublicIp can only be changed from false to true, and only in a workspace "
                "with a virtual network of its own.",
            )

    def deleting(self, world: World, rid: ResourceId, document: Document, force: bool) -> None:
        """With Unity Catalog the managed group stays, with its storage account and connector.

        terraform-provider-azurerm#28959; `?forceDeletion=true` takes it along.
        """
        managed = document["properties"].get("managedResourceGroupId")
        group = world.find(managed) if managed else None
        if group is None:
            return
        stays = document["properties"]["isUcEnabled"] and not force
        for one in world.below(managed):
            if not stays or one["type"] not in (ACCOUNT, CONNECTOR):
                world.remove(one["id"])
        if not stays:
            world.remove(managed)


class ConnectorKind(Kind):
    """An access connector: a managed identity for Unity Catalog."""

    type = CONNECTOR
    tracked = True

    def check_name(self, rid: ResourceId) -> None:
        """3-64 letters, digits, `_` and `-`."""
        _check_name(rid.name, "Databricks access connector")

    def put(self, world: World, rid: ResourceId, body: Document, old: Document | None) -> Document:
        """A system-assigned identity gets a principal, which stays the same as long as the identity does."""
        identity = dict(body.get("identity") or {})
        if "SystemAssigned" in identity.get("type", "None"):
            before = (old or {}).get("identity", {})
            identity["principalId"] = before.get("principalId") or str(uuid.uuid4())
            identity["tenantId"] = world.account.tenant_id
        return {
            "location": body["location"],
            "tags": body.get("tags", {}),
            **({"identity": identity} if identity else {}),
            "properties": {"provisioningState": "Succeeded", "referedBy": []},
        }


def _unity_catalog(properties: dict[str, Any]) -> bool:
    # On for every new workspace; the legacy metastore must be asked for.
    return (properties.get("defaultCatalog") or {}).get("initialType") != "HiveMetastore"


def _workspace_number(world: World) -> int:
    # Sixteen digits, as in real workspace ids; the counter keeps two workspaces apart.
    return 10**15 + secrets.randbelow(9 * 10**11) * 10**4 + world.store.next_id("workspace") % 10**4


def _make_managed_group(
    world: World, workspace: ResourceId, managed: str, location: str, parameters: dict[str, Any]
) -> str:
    rid = ids.parse(managed)
    if rid.type != ids.GROUP or rid.subscription.lower() != workspace.subscription.lower():
        raise _invalid(
            "InvalidRequestContent",
            f"The managedResourceGroupId '{managed}' must be a resource group of the workspace's subscription.",
        )
    check_group_name(rid.name)
    if world.find(managed):
        # Comes while polling the creation (pulumi-azure-native#3643).
        raise AzureError(
            409,
            "ApplianceProvisioningFailed",
            f"The managed resource group '{managed}' already exists. Please specify a new non-existent managed "
            "resource group",
        )
    world.save(
        rid,
        {
            "location": location,
            "tags": {},
            "managedBy": workspace.text,
            "properties": {"provisioningState": "Succeeded"},
        },
    )
    storage = _value(parameters, "storageAccountName") or f"dbstorage{secrets.token_hex(7)[:13]}"
    inside: list[tuple[str, str, Document]] = [
        (
            ACCOUNT,
            storage,
            {
                "kind": "StorageV2",
                "sku": {"name": "Standard_GRS", "tier": "Standard"},
                "properties": {"isHnsEnabled": True, "allowSharedKeyAccess": False, "provisioningState": "Succeeded"},
            },
        ),
        (
            CONNECTOR,
            "unity-catalog-access-connector",
            {
                "identity": {
                    "type": "SystemAssigned",
                    "principalId": str(uuid.uuid4()),
                    "tenantId": world.account.tenant_id,
                },
                "properties": {"provisioningState": "Succeeded"},
            },
        ),
    ]
    if _value(parameters, "enableNoPublicIp") and not _value(parameters, "customVirtualNetworkId"):
        # They cost about $36 a month, used or not.
        inside += [
            (_NAT, _value(parameters, "natGatewayName") or "nat-gateway", {"properties": {}}),
            (_IP, _value(parameters, "publicIpName") or "nat-gw-public-ip", {"properties": {}}),
        ]
    for type, name, document in inside:
        child = ids.parse(f"{managed}/providers/{type}/{name}")
        world.save(child, {"location": location, "tags": {}, **document})
    return str(storage)


def check_group_name(name: str) -> None:
    """1-90 letters, digits, `-._()`, and no dot at the end."""
    names.check_name(
        name,
        "resource group",
        r"[-\w._()]*[-\w_()]",
        (1, 90),
        "letters, digits, '-', '_', '.', '(' and ')', and no dot at the end",
    )


def guard_of(world: World, group: Document) -> Document | None:
    """The workspace whose deny assignment guards a managed group, None when the group is free."""
    owner = world.find(group["managedBy"]) if group.get("managedBy") else None
    # A later workspace of the same name has a managed group of its own.
    mine = owner and str(owner["properties"].get("managedResourceGroupId")).lower() == group["id"].lower()
    return owner if mine else None


def workspaces(world: World) -> list[WorkspaceInfo]:
    """All workspaces, oldest first."""
    return [
        WorkspaceInfo(
            resource_id=one["id"],
            workspace_id=one["properties"]["workspaceId"],
            url=one["properties"]["workspaceUrl"],
        )
        for one in world.of_type(WORKSPACE)
    ]
