"""Users and groups of a workspace (SCIM), and who is calling."""

import re
from dataclasses import dataclass
from typing import Any

from localcloud.errors import DatabricksError
from localcloud.store import Store
from localcloud.workspace.shelf import Record, Shelf

# The one person of this machine: creator and administrator of every workspace.
DEVELOPER = "developer@localhost.localdomain"
GROUPS = ("admins", "users")
_ENTITLEMENTS = ("allow-cluster-create", "allow-instance-pool-create", "databricks-sql-access", "workspace-access")
_EDITABLE = ("displayName", "active", "externalId", "entitlements")


class ScimError(DatabricksError):
    """A refusal in SCIM's own form (RFC 7644, 3.12)."""

    def body(self) -> dict[str, Any]:
        """`{"schemas", "detail", "status"}`."""
        return {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "detail": self.message,
            "status": str(self.status),
        }


@dataclass(frozen=True)
class Caller:
    """Who sends a request. admin: a workspace administrator, who may do everything."""

    user_name: str
    admin: bool = False


class People:
    """The users of one workspace. The developer is always one of them; groups are `admins` and `users`."""

    def __init__(self, store: Store, workspace_id: str) -> None:
        self._store = store
        self._users = Shelf(store, "user", workspace_id)
        if not self._users.items():
            self._add({"userName": DEVELOPER, "displayName": "Developer"}, admin=True)

    def me(self, caller: Caller) -> Record:
        """The calling user."""
        return self.named(caller.user_name)

    def users(self) -> list[Record]:
        """All users, oldest first."""
        return self._users.values()

    def get(self, user_id: str) -> Record:
        """The user; 404 if there is none."""
        user = self._users.get(user_id)
        if user is None:
            raise ScimError(404, "RESOURCE_DOES_NOT_EXIST", f"User with id {user_id} not found.")
        return user

    def named(self, user_name: str) -> Record:
        """The user with this name (case is ignored); 404 if there is none."""
        for user in self._users.values():
            if user["userName"].lower() == user_name.lower():
                return user
        raise ScimError(404, "RESOURCE_DOES_NOT_EXIST", f"User with username {user_name} not found.")

    def has_user(self, user_name: str) -> bool:
        """Whether the workspace has this user."""
        return any(user["userName"].lower() == user_name.lower() for user in self._users.values())

    def has_principal(self, principal: str) -> bool:
        """Whether this is a user or a group of the workspace."""
        return principal in GROUPS or self.has_user(principal)

    def is_admin(self, user_name: str) -> bool:
        """Whether the user is in the group `admins`."""
        return user_name.lower() == DEVELOPER

    def create(self, body: Record) -> Record:
        """Add a user. 400: not an e-mail address; 409: it exists."""
        check_user_name(body.get("userName"))
        with self._store.transaction():
            if self.has_user(body["userName"]):
                raise ScimError(
                    409, "RESOURCE_CONFLICT", f"User with username {body['userName']} already exists in this workspace."
                )
            return self._add(body)

    def replace(self, user_id: str, body: Record) -> Record:
        """Set what may change of a user: display name, active, external id, entitlements."""
        with self._store.transaction():
            user = self.get(user_id)
            if body.get("userName", user["userName"]) != user["userName"]:
                raise ScimError(400, "INVALID_PARAMETER_VALUE", "userName of an existing user cannot be changed.")
            user.update({name: body[name] for name in _EDITABLE if name in body})
            _check_entitlements(user)
            self._users.put(user_id, user)
            return user

    def delete(self, user_id: str) -> None:
        """Remove a user; the developer stays."""
        if self.get(user_id)["userName"] == DEVELOPER:
            raise ScimError(403, "PERMISSION_DENIED", "You cannot remove yourself from the workspace.")
        self._users.delete(user_id)

    def _add(self, body: Record, admin: bool = False) -> Record:
        user_id = str(4_000_000_000_000_000 + self._store.next_id("databricks/user"))
        user = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": user_id,
            "userName": body["userName"],
            "displayName": body.get("displayName") or body["userName"],
            "active": body.get("active", True),
            "emails": [{"type": "work", "value": body["userName"], "primary": True}],
            "entitlements": body.get("entitlements") or [{"value": "workspace-access"}],
            "groups": [{"display": name, "value": name} for name in (GROUPS if admin else GROUPS[1:])],
        }
        if "externalId" in body:
            user["externalId"] = body["externalId"]
        _check_entitlements(user)
        self._users.put(user_id, user)
        return user


def check_user_name(user_name: Any) -> None:
    """400 unless it is an e-mail address, as the names of users are on Azure."""
    if not isinstance(user_name, str) or not re.fullmatch(r"[^@\s/]+@[^@\s/]+", user_name):
        raise ScimError(400, "INVALID_PARAMETER_VALUE", f"userName {user_name!r} is not a valid e-mail address.")


def _check_entitlements(user: Record) -> None:
    for entitlement in user["entitlements"]:
        if entitlement.get("value") not in _ENTITLEMENTS:
            raise ScimError(400, "INVALID_PARAMETER_VALUE", f"Unknown entitlement {entitlement.get('value')!r}.")
