"""Secret scopes, secrets and their access lists. Values live in the store alone, which only its owner can read."""

import re
import time
from collections.abc import Callable

from localcloud.errors import DatabricksError
from localcloud.store import Store
from localcloud.workspace.errors import denied, exists, invalid, missing
from localcloud.workspace.people import Caller, People
from localcloud.workspace.shelf import Record, Shelf

LEVELS = ("READ", "WRITE", "MANAGE")
_MAX_BYTES = 128 * 1024
_MAX_SECRETS = 1000
_MAX_SCOPES = 1000


class Secrets:
    """The secret scopes of one workspace. Keys ignore case, as the service's do."""

    def __init__(self, store: Store, workspace_id: str, people: People, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._people = people
        self._clock = clock
        self._scopes = Shelf(store, "scope", workspace_id)
        self._secrets = Shelf(store, "secret", workspace_id)
        self._acls = Shelf(store, "secret-acl", workspace_id)

    def create_scope(self, scope: str, caller: Caller, manage_principal: str | None = None) -> None:
        """Make a scope. manage_principal: `users` lets everybody manage it; else its creator alone."""
        check_name(scope, "Scope name")
        if manage_principal not in (None, "", "users"):
            raise invalid(f"initial_manage_principal must be 'users', not '{manage_principal}'.")
        with self._store.transaction():
            if self._scopes.get(scope):
                raise exists(f"Scope {scope} already exists!")
            if len(self._scopes.items()) >= _MAX_SCOPES:
                raise DatabricksError(
                    400, "RESOURCE_LIMIT_EXCEEDED", f"The workspace has {_MAX_SCOPES} secret scopes, its limit."
                )
            self._scopes.put(scope, {"name": scope, "backend_type": "DATABRICKS"})
            self._acls.put(f"{scope}/{manage_principal or caller.user_name}", {"permission": "MANAGE"})

    def delete_scope(self, scope: str, caller: Caller) -> None:
        """Remove a scope with its secrets and access list."""
        with self._store.transaction():
            self._authorize(scope, caller, "MANAGE")
            for shelf in (self._secrets, self._acls):
                for key, _ in shelf.items(f"{scope}/"):
                    shelf.delete(key)
            self._scopes.delete(scope)

    def scopes(self) -> list[Record]:
        """All scopes, oldest first."""
        return self._scopes.values()

    def scope(self, scope: str) -> Record:
        """The scope; 404 if there is none."""
        found = self._scopes.get(scope)
        if found is None:
            raise missing(f"Scope {scope} does not exist")
        return found

    def put(self, scope: str, key: str, value: bytes, caller: Caller) -> None:
        """Set a secret; value: at most 128 KB."""
        check_name(key, "Secret key")
        if len(value) > _MAX_BYTES:
            raise invalid(f"The value of secret {key} has {len(value)} bytes, the limit is {_MAX_BYTES} (128 KB).")
        with self._store.transaction():
            self._authorize(scope, caller, "WRITE")
            full = len(self._secrets.items(f"{scope}/")) >= _MAX_SECRETS
            if full and not self._secrets.get(f"{scope}/{key.lower()}"):
                raise DatabricksError(
                    400, "RESOURCE_LIMIT_EXCEEDED", f"Scope {scope} has {_MAX_SECRETS} secrets, its limit."
                )
            record = {"key": key, "value": value.hex(), "last_updated_timestamp": int(self._clock() * 1000)}
            self._secrets.put(f"{scope}/{key.lower()}", record)

    def get(self, scope: str, key: str, caller: Caller) -> bytes:
        """The value; needs READ."""
        self._authorize(scope, caller, "READ")
        record = self._secrets.get(f"{scope}/{key.lower()}")
        if record is None:
            raise missing(f"Secret does not exist with scope: {scope} and key: {key}")
        return bytes.fromhex(record["value"])

    def keys(self, scope: str, caller: Caller) -> list[Record]:
        """`{"key", "last_updated_timestamp"}` of each secret; epoch milliseconds."""
        self._authorize(scope, caller, "READ")
        return [
            {"key": record["key"], "last_updated_timestamp": record["last_updated_timestamp"]}
            for record in self._secrets.values(f"{scope}/")
        ]

    def described(self, scope: str, key: str, caller: Caller) -> Record:
        """`{"key", "last_updated_timestamp"}` of one secret; 404 if there is none."""
        for secret in self.keys(scope, caller):
            if secret["key"].lower() == key.lower():
                return secret
        raise missing(f"Secret {key} does not exist in scope {scope}")

    def delete(self, scope: str, key: str, caller: Caller) -> None:
        """Remove a secret; 404 if there is none."""
        self._authorize(scope, caller, "WRITE")
        if not self._secrets.delete(f"{scope}/{key.lower()}"):
            raise missing(f"Secret {key} does not exist in scope {scope}")

    def put_acl(self, scope: str, principal: str, permission: str, caller: Caller) -> None:
        """Give a user or group READ, WRITE or MANAGE on a scope."""
        self._authorize(scope, caller, "MANAGE")
        if permission not in LEVELS:
            raise invalid(f"Permission '{permission}' is none of {', '.join(LEVELS)}.")
        if not self._people.has_principal(principal):
            raise missing(f"User or Group {principal} does not exist.")
        self._acls.put(f"{scope}/{principal}", {"permission": permission})

    def get_acl(self, scope: str, principal: str, caller: Caller) -> Record:
        """`{"principal", "permission"}`; 404 if the principal has none."""
        for acl in self.acls(scope, caller):
            if acl["principal"] == principal:
                return acl
        raise missing(f"Failed to get secret acl for principal {principal} for scope {scope}.")

    def acls(self, scope: str, caller: Caller) -> list[Record]:
        """The access list of a scope."""
        self._authorize(scope, caller, "READ")
        return [
            {"principal": key.removeprefix(f"{scope}/"), "permission": acl["permission"]}
            for key, acl in self._acls.items(f"{scope}/")
        ]

    def delete_acl(self, scope: str, principal: str, caller: Caller) -> None:
        """Take a principal's permission away; 404 if it has none."""
        self._authorize(scope, caller, "MANAGE")
        if not self._acls.delete(f"{scope}/{principal}"):
            raise missing(f"Failed to delete secret acl for principal {principal} for scope {scope}.")

    def _authorize(self, scope: str, caller: Caller, level: str) -> None:
        self.scope(scope)
        if caller.admin:
            return
        enough = LEVELS[LEVELS.index(level) :]
        held = [self._acls.get(f"{scope}/{principal}") for principal in (caller.user_name, "users")]
        if not any(acl and acl["permission"] in enough for acl in held):
            raise denied(f"User {caller.user_name} does not have {level} permission on scope {scope}")


def check_name(name: str, what: str) -> None:
    """400 unless the name has 1-128 letters, digits, `-`, `_`, `@`, `.`."""
    if not re.fullmatch(r"[\w.@-]{1,128}", name, re.ASCII):
        raise invalid(f"{what} '{name}' must have 1 to 128 characters out of letters, digits, '-', '_', '@' and '.'.")
