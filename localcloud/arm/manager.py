"""Azure Resource Manager: what holds for every resource, whatever its type.

Codes and texts: azure-docs azure-resource-manager/troubleshooting.
"""

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from localcloud.arm import authorization, consumption, databricks, event_hubs, ids, names, resource_groups, storage
from localcloud.arm.ids import ResourceId
from localcloud.arm.kind import Kind
from localcloud.arm.views import Container, Namespace, WorkspaceInfo
from localcloud.arm.world import Document, World
from localcloud.errors import AzureError
from localcloud.store import Store

_KINDS: dict[str, Kind] = {
    kind.type.lower(): kind
    for kind in (
        resource_groups.GroupKind(),
        event_hubs.NamespaceKind(),
        event_hubs.HubKind(),
        event_hubs.ConsumerGroupKind(),
        event_hubs.RuleKind(),
        storage.AccountKind(),
        storage.ContainerKind(),
        storage.PolicyKind(),
        databricks.WorkspaceKind(),
        databricks.ConnectorKind(),
        authorization.AssignmentKind(),
        consumption.BudgetKind(),
    )
}
# Part of every storage account: it can be neither made nor deleted.
_IMPLICIT = "blobservices"


class Arm:
    """One subscription and everything in it. Safe to share between threads.

    today: the date that rules on dates go by.
    """

    def __init__(self, store: Store, today: Callable[[], date] = lambda: datetime.now(UTC).date()) -> None:
        self._store = store
        self._world = World(store, today)
        self._listeners: list[Callable[[], None]] = []

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every change, in the thread that made it. The change is made: it must not raise."""
        self._listeners.append(listener)

    def put(self, id: str, body: dict[str, Any]) -> Document:
        """Create or update a resource; returns it as `get` does. body: as in ARM's REST API.

        Raises AzureError with the service's code and text.
        """
        rid = ids.parse(id)
        kind = _kind(rid)
        rid = replace(rid, type=kind.type)
        with self._store.transaction():
            group = self._world.require_group(rid) if rid.type != ids.GROUP else self._require_subscription(rid)
            self._check_guard(rid, group, "write")
            self._check_parents(rid)
            kind.check_name(rid)
            old = self._world.find(rid.text)
            if kind.tracked:
                body = self._located(rid, body, old)
            names.check_tags(body.get("tags") or {})
            document = self._world.save(rid, kind.put(self._world, rid, body, old))
            if old is None and rid.type == event_hubs.HUB:
                # Every hub comes with it (azure-docs event-hubs-features.md).
                default = ids.parse(f"{document['id']}/consumergroups/$Default")
                self._world.save(default, {"properties": {}})
        self._changed()
        return document

    def check_name(self, id: str) -> None:
        """Raises AzureError when the resource's own name breaks a rule of its type; looks at nothing that exists."""
        rid = ids.parse(id)
        _kind(rid).check_name(rid)

    def get(self, id: str) -> Document | None:
        """The resource with this id, None if there is none. Holds no keys."""
        return self._world.find(ids.parse(id).text)

    def require(self, id: str) -> Document:
        """As `get`, but what doesn't exist is refused as ARM does."""
        rid = ids.parse(id)
        if rid.type != ids.GROUP:
            self._world.require_group(rid)
        found = self._world.find(rid.text)
        if found is None:
            raise _not_found(rid)
        return found

    def require_group(self, id: str) -> None:
        """Raises when the subscription or resource group of an id doesn't exist, as a DELETE in it does."""
        rid = ids.parse(id)
        self._world.require_group(rid)

    def delete(self, id: str, *, force: bool = False) -> bool:
        """Delete a resource and everything in it; False if it doesn't exist.

        force: a Databricks workspace takes its managed resource group along.
        """
        rid = ids.parse(id)
        with self._store.transaction():
            found = self._world.find(rid.text)
            if found is None:
                return False
            group = found if rid.type == ids.GROUP else self._world.require_group(rid)
            self._check_guard(rid, group, "delete")
            # A workspace first: it decides what becomes of its managed group.
            for one in sorted(
                [found, *self._world.below(rid.text)], key=lambda one: one["type"] != databricks.WORKSPACE
            ):
                inner = ids.parse(one["id"])
                kind = _KINDS.get(inner.type.lower())
                if kind is not None:
                    kind.deleting(self._world, inner, one, force)
                self._world.remove(one["id"])
        self._changed()
        return True

    def types_in(self, id: str) -> list[str]:
        """The type of a resource and of everything in it; empty if it doesn't exist."""
        found = self.get(id)
        return [one["type"] for one in (found, *self._world.below(found["id"]))] if found else []

    def list_keys(self, id: str) -> dict[str, Any]:
        """The keys of an event hub's authorization rule or of a storage account, in ARM's form."""
        rid = ids.parse(id)
        self.require(id)
        if rid.type.lower() == event_hubs.RULE.lower():
            return event_hubs.rule_keys(self._world, rid)
        if rid.type.lower() == storage.ACCOUNT.lower():
            return storage.account_keys(self._world, rid)
        raise AzureError(400, "InvalidResourceType", f"The resource type '{rid.type}' has no keys to list.")

    def list_groups(self) -> list[Document]:
        """All resource groups, managed ones included."""
        return self._world.of_type(ids.GROUP)

    def list_resources(self, group: str | None = None) -> list[Document]:
        """What has a location, in one group or in all; parts of resources are not listed, as in ARM."""
        root = f"/subscriptions/{self._world.account.subscription_id}"
        if group is not None:
            root = self.require(ids.group_id(self._world.account.subscription_id, group))["id"]
        return [one for one in self._world.below(root) if "location" in one and one["type"] != ids.GROUP]

    def list_below(self, scope: str, type: str) -> list[Document]:
        """All resources of one type below a scope, for example the role assignments of a group."""
        return self._world.children(scope.rstrip("/"), type)

    def client_config(self) -> dict[str, str]:
        """Who is signed in: clientId, objectId, subscriptionId, tenantId."""
        account = self._world.account
        return {
            "clientId": account.client_id,
            "objectId": account.object_id,
            "subscriptionId": account.subscription_id,
            "tenantId": account.tenant_id,
        }

    def namespaces(self) -> list[Namespace]:
        """The Event Hubs namespaces that have a Kafka endpoint."""
        with self._store.transaction():
            return event_hubs.namespaces(self._world)

    def containers(self) -> list[Container]:
        """All blob containers."""
        with self._store.transaction():
            return storage.containers(self._world)

    def workspaces(self) -> list[WorkspaceInfo]:
        """All Databricks workspaces."""
        return databricks.workspaces(self._world)

    def may_write_blobs(self, connector_resource_id: str, account: str) -> bool:
        """Whether an access connector has the role Storage Blob Data Contributor on a storage account."""
        return authorization.may_write_blobs(self._world, connector_resource_id, account)

    def _changed(self) -> None:
        for listener in self._listeners:
            listener()

    def _require_subscription(self, rid: ResourceId) -> Document | None:
        self._world.require_group(replace(rid, group=None))
        return self._world.find(rid.text)

    def _check_guard(self, rid: ResourceId, group: Document | None, verb: str) -> None:
        workspace = databricks.guard_of(self._world, group) if group else None
        if workspace is None or group is None:
            return
        account = self._world.account
        action = f"{rid.type if rid.type != ids.GROUP else 'Microsoft.Resources/subscriptions/resourceGroups'}/{verb}"
        raise AzureError(
            403,
            "DenyAssignmentAuthorizationFailed",
            f"The client '{account.client_id}' with object id '{account.object_id}' has permission to perform action "
            f"'{action}' on scope '{rid.text}'; however, the access is denied because of the deny assignment with name "
            f"'System deny assignment created by Azure Databricks {workspace['id']}' and Id "
            f"'{uuid.uuid5(uuid.NAMESPACE_URL, workspace['id']).hex}' at scope '{group['id']}'.",
        )

    def _check_parents(self, rid: ResourceId) -> None:
        parent = rid.parent
        while parent is not None and parent.type.rsplit("/", 1)[-1].lower() == _IMPLICIT:
            parent = parent.parent
        if parent is not None and self._world.find(parent.text) is None:
            raise AzureError(
                404,
                "ParentResourceNotFound",
                f"Can not perform requested operation on nested resource. Parent resource '{parent.name}' not found.",
            )
        in_resource = parent is None and "/providers/" in rid.scope.lower()
        if in_resource and self._world.find(rid.scope) is None:
            raise _not_found(ids.parse(rid.scope))

    def _located(self, rid: ResourceId, body: Document, old: Document | None) -> Document:
        given = body.get("location")
        if not given:
            raise AzureError(400, "LocationRequired", "The location property is required for this definition.")
        names.check_location(given, rid.type)
        body = {**body, "location": names.location(given)}
        if old and rid.type != ids.GROUP and old["location"] != body["location"]:
            raise AzureError(
                409,
                "InvalidResourceLocation",
                f"The resource '{rid.name}' already exists in location '{old['location']}' in resource group "
                f"'{rid.group}'. A resource with the same name cannot be created in location '{body['location']}'. "
                "Please select a new resource name.",
            )
        return body


def _kind(rid: ResourceId) -> Kind:
    kind = _KINDS.get(rid.type.lower())
    if kind is None:
        raise AzureError(404, "InvalidResourceType", f"The local cloud does not offer the resource type '{rid.type}'.")
    return kind


def _not_found(rid: ResourceId) -> AzureError:
    if rid.type == ids.GROUP:
        return AzureError(404, "ResourceGroupNotFound", f"Resource group '{rid.name}' could not be found.")
    return AzureError(
        404,
        "ResourceNotFound",
        f"The Resource '{rid.type}/{'/'.join(rid.names)}' under resource group '{rid.group}' was not found. For more "
        "details please go to https://aka.ms/ARMResourceNotFoundFix",
    )
