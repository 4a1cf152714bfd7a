"""Microsoft.Authorization: role assignments.

Codes and texts: azure-docs role-based-access-control/troubleshooting.md; ids: built-in-roles.md.
"""

import uuid

from localcloud.arm.databricks import CONNECTOR
from localcloud.arm.ids import ResourceId
from localcloud.arm.kind import Kind
from localcloud.arm.world import Document, World
from localcloud.errors import AzureError

ASSIGNMENT = "Microsoft.Authorization/roleAssignments"

_BLOB_DATA_OWNER = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b"
_BLOB_DATA_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
_ROLES = {
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": "Owner",
    "b24988ac-6180-42a0-ab88-20f7382dd24c": "Contributor",
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": "Reader",
    "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9": "User Access Administrator",
    "f58310d9-a9f6-439a-9e8d-f62e7b41a168": "Role Based Access Control Administrator",
    _BLOB_DATA_OWNER: "Storage Blob Data Owner",
    _BLOB_DATA_CONTRIBUTOR: "Storage Blob Data Contributor",
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": "Storage Blob Data Reader",
    "f526a384-b230-433a-b45c-95f59c4a2dec": "Azure Event Hubs Data Owner",
    "2b629674-e913-4c01-ae53-ef4638d8f975": "Azure Event Hubs Data Sender",
    "a638d3c7-ab3a-418d-83e6-5f17a39d4fde": "Azure Event Hubs Data Receiver",
}


class AssignmentKind(Kind):
    """A role of a principal at a scope."""

    type = ASSIGNMENT

    def check_name(self, rid: ResourceId) -> None:
        """A GUID."""
        if not _is_guid(rid.name):
            raise AzureError(
                400, "InvalidRoleAssignmentId", f"The role assignment ID '{rid.name}' is not valid. It must be a GUID."
            )

    def put(self, world: World, rid: ResourceId, body: Document, old: Document | None) -> Document:
        """One assignment for a principal, role and scope; an id is never used for another."""
        properties = dict(body.get("properties", {}))
        principal = str(properties.get("principalId", "")).lower()
        role = str(properties.get("roleDefinitionId", "")).rsplit("/", 1)[-1].lower()
        if not _is_guid(principal):
            raise AzureError(400, "InvalidPrincipalId", "A valid principal ID must be provided for role assignment.")
        if role not in _ROLES:
            raise AzureError(
                400, "RoleDefinitionDoesNotExist", f"The specified role definition with ID '{role}' does not exist."
            )
        kind = _check_principal(world, principal, properties.get("principalType"))
        document: Document = {
            "properties": {
                **properties,
                "principalId": principal,
                "principalType": kind,
                "roleDefinitionId": f"/subscriptions/{world.account.subscription_id}"
                f"/providers/Microsoft.Authorization/roleDefinitions/{role}",
                "scope": rid.scope,
            }
        }
        for other in world.of_type(ASSIGNMENT):
            same_id = other["name"].lower() == rid.name.lower()
            if not same_id and _what(other) == _what(document):
                raise AzureError(409, "RoleAssignmentExists", "The role assignment already exists.")
            if same_id and _what(other) != _what(document):
                raise AzureError(
                    400,
                    "RoleAssignmentUpdateNotPermitted",
                    "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
                )
        return document


def _check_principal(world: World, principal: str, given: str | None) -> str:
    if principal == world.account.object_id:
        known = "User"
    elif any(one.get("identity", {}).get("principalId") == principal for one in world.of_type(CONNECTOR)):
        known = "ServicePrincipal"
    else:
        known = ""
    if given is None:
        # A principal that was made a moment ago is found only when its type is given, since the directory is slow
        # to replicate: so the type is asked for whenever the principal is not the caller.
        if known != "User":
            raise AzureError(
                400,
                "PrincipalNotFound",
                f"Principal {principal.replace('-', '')} does not exist in the directory {world.account.tenant_id}. "
                "Check that you have the correct principal ID. If you are creating this principal and then immediately "
                "assigning a role, this error might be related to a replication delay. In this case, set the role "
                "assignment principalType property to a value, such as ServicePrincipal, User, or Group.",
            )
        return known
    if known and known != given:
        raise AzureError(
            400,
            "UnmatchedPrincipalType",
            f"The PrincipalId '{principal.replace('-', '')}' has type '{known}', which is different from specified "
            f"PrincipalType '{given}'.",
        )
    return given


def _what(document: Document) -> tuple[str, str, str]:
    properties = document["properties"]
    return properties["scope"].lower(), properties["principalId"], properties["roleDefinitionId"].rsplit("/", 1)[-1]


def _is_guid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def may_write_blobs(world: World, connector: str, account: str) -> bool:
    """Whether an access connector's identity may write blobs of an account (named or by id)."""
    document = world.find(connector)
    principal = (document or {}).get("identity", {}).get("principalId")
    found = [one for one in world.of_type("Microsoft.Storage/storageAccounts") if account in (one["name"], one["id"])]
    if principal is None or not found:
        return False
    id = found[0]["id"].lower() + "/"
    return any(
        one["properties"]["principalId"] == principal
        and one["properties"]["roleDefinitionId"].rsplit("/", 1)[-1] in (_BLOB_DATA_CONTRIBUTOR, _BLOB_DATA_OWNER)
        and id.startswith(one["properties"]["scope"].lower() + "/")
        for one in world.of_type(ASSIGNMENT)
    )
