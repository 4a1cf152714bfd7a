"""Unity Catalog as far as storage goes: one metastore for each region, shared by the region's workspaces."""

import re
import time
import uuid
from collections.abc import Callable
from typing import Protocol

from localcloud.errors import DatabricksError
from localcloud.store import Store
from localcloud.workspace.errors import denied, exists, invalid, missing
from localcloud.workspace.people import Caller
from localcloud.workspace.shelf import Record, Shelf

SECURABLES = ("storage_credential", "external_location")
_PRIVILEGES = {
    "storage_credential": (
        "ALL_PRIVILEGES", "CREATE_EXTERNAL_LOCATION", "CREATE_EXTERNAL_TABLE", "MANAGE", "READ_FILES", "WRITE_FILES",
    ),
    "external_location": (
        "ALL_PRIVILEGES", "BROWSE", "CREATE_EXTERNAL_TABLE", "CREATE_EXTERNAL_VOLUME", "CREATE_FOREIGN_SECURABLE",
        "CREATE_MANAGED_STORAGE", "EXTERNAL_USE_LOCATION", "MANAGE", "READ_FILES", "WRITE_FILES",
    ),
}  # fmt: skip
BINDING_TYPES = ("BINDING_TYPE_READ_WRITE", "BINDING_TYPE_READ_ONLY")
_URL = re.compile(r"abfss://(?P<container>[^@/]+)@(?P<account>[a-z0-9]+)\.dfs\.core\.windows\.net(?P<path>/.*)?")
_EDITABLE = ("comment", "owner", "read_only", "isolation_mode", "fallback")


class Azure(Protocol):
    """What the catalog must know of Azure."""

    def get(self, resource_id: str) -> Record | None:
        """The resource, None if there is none; raises CloudError if that is no resource id."""

    def may_write_blobs(self, connector_resource_id: str, account: str) -> bool:
        """Whether an access connector may read and write a storage account's blobs."""


class Catalog:
    """Storage credentials, external locations and grants of one region's metastore."""

    def __init__(self, store: Store, region: str, azure: Azure, clock: Callable[[], float] = time.time) -> None:
        self.region = region
        self.metastore_id = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{region}.metastore.localcloud"))
        self._store = store
        self._azure = azure
        self._clock = clock
        self._credentials = Shelf(store, "storage-credential", region)
        self._locations = Shelf(store, "external-location", region)
        self._grants = Shelf(store, "grants", region)
        self._bindings = Shelf(store, "workspace-bindings", region)

    def metastore(self) -> Record:
        """The summary of the region's metastore."""
        return {
            "metastore_id": self.metastore_id,
            "name": f"metastore_azure_{self.region}",
            "cloud": "azure",
            "region": self.region,
            "privilege_model_version": "1.0",
        }

    # Storage credentials

    def create_credential(self, body: Record, caller: Caller) -> Record:
        """Add a credential for an access connector's managed identity."""
        self._require_admin(caller, "CREATE STORAGE CREDENTIAL")
        name = _name(body, "Storage Credential")
        identity = body.get("azure_managed_identity") or {}
        connector = identity.get("access_connector_id")
        if not connector:
            raise invalid("A storage credential on Azure needs azure_managed_identity.access_connector_id.")
        self._require_connector(connector)
        with self._store.transaction():
            if self._credentials.get(name.lower()):
                raise _already("Storage Credential", name)
            record = self._record(body, caller) | {
                "id": str(uuid.uuid4()),
                "azure_managed_identity": {**identity, "credential_id": str(uuid.uuid4())},
                "used_for_managed_storage": False,
            }
            self._credentials.put(name.lower(), record)
        return record

    def credentials(self) -> list[Record]:
        """All credentials of the metastore."""
        return self._credentials.values()

    def credential(self, name: str) -> Record:
        """The credential; 404 if there is none."""
        found = self._credentials.get(name.lower())
        if found is None:
            raise missing(f"Storage Credential '{name}' does not exist.")
        return found

    def update_credential(self, name: str, body: Record, caller: Caller) -> Record:
        """Change comment, owner, identity and the like."""
        self._require_admin(caller, "MANAGE")
        with self._store.transaction():
            record = self.credential(name)
            record.update({key: body[key] for key in _EDITABLE if key in body})
            if body.get("azure_managed_identity"):
                self._require_connector(body["azure_managed_identity"].get("access_connector_id", ""))
                record["azure_managed_identity"] |= body["azure_managed_identity"]
            record["updated_at"], record["updated_by"] = self._now(), caller.user_name
            self._credentials.put(name.lower(), record)
        return record

    def delete_credential(self, name: str, caller: Caller, force: bool = False) -> None:
        """Remove a credential; one that a location uses only by force."""
        self._require_admin(caller, "MANAGE")
        self.credential(name)
        used = [item["name"] for item in self.locations() if item["credential_name"].lower() == name.lower()]
        if used and not force:
            raise DatabricksError(
                400,
                "INVALID_STATE",
                f"Storage credential '{name}' has {len(used)} directly dependent external location(s) ({used[0]});"
                " use force option to delete anyway.",
            )
        self._credentials.delete(name.lower())
        self._grants.delete(f"storage_credential/{name.lower()}")
        self._bindings.delete(f"storage_credential/{name.lower()}")

    # External locations

    def create_location(self, body: Record, caller: Caller) -> Record:
        """Add a location: a url that no other location overlaps and that the credential's identity can use."""
        self._require_admin(caller, "CREATE EXTERNAL LOCATION")
        name = _name(body, "External Location")
        with self._store.transaction():
            if self._locations.get(name.lower()):
                raise _already("External Location", name)
            self._check_location(name, body)
            record = self._record(body, caller) | self._place(body) | {"fallback": body.get("fallback", False)}
            self._locations.put(name.lower(), record)
        return record

    def locations(self) -> list[Record]:
        """All locations of the metastore."""
        return self._locations.values()

    def location(self, name: str) -> Record:
        """The location; 404 if there is none."""
        found = self._locations.get(name.lower())
        if found is None:
            raise missing(f"External Location '{name}' does not exist.")
        return found

    def update_location(self, name: str, body: Record, caller: Caller) -> Record:
        """Change url, credential, comment, owner and the like."""
        self._require_admin(caller, "MANAGE")
        with self._store.transaction():
            record = self.location(name)
            merged = {**record, **body}
            if "url" in body or "credential_name" in body:
                self._check_location(name, merged)
                record |= self._place(merged)
            record.update({key: body[key] for key in _EDITABLE if key in body})
            record["updated_at"], record["updated_by"] = self._now(), caller.user_name
            self._locations.put(name.lower(), record)
        return record

    def delete_location(self, name: str, caller: Caller) -> None:
        """Remove a location; the files stay."""
        self._require_admin(caller, "MANAGE")
        self.location(name)
        self._locations.delete(name.lower())
        self._grants.delete(f"external_location/{name.lower()}")
        self._bindings.delete(f"external_location/{name.lower()}")

    # Grants

    def grants(self, securable: str, name: str) -> list[Record]:
        """`{"principal", "privileges"}` of each principal that holds any."""
        self._require_securable(securable, name)
        held = self._grants.get(f"{securable}/{name.lower()}") or {}
        return [{"principal": who, "privileges": privileges} for who, privileges in held.items()]

    def change_grants(self, securable: str, name: str, changes: list[Record], caller: Caller) -> list[Record]:
        """Apply `{"principal", "add": […], "remove": […]}`."""
        self._require_admin(caller, "MANAGE")
        self._require_securable(securable, name)
        with self._store.transaction():
            held = self._grants.get(f"{securable}/{name.lower()}") or {}
            for change in changes:
                add, remove = change.get("add") or [], change.get("remove") or []
                check_privileges(securable, [*add, *remove])
                who = _as_written(change["principal"])
                held[who] = sorted((set(held.get(who, [])) | set(add)) - set(remove))
            self._grants.put(f"{securable}/{name.lower()}", {who: item for who, item in held.items() if item})
        return self.grants(securable, name)

    # Bindings: the workspaces in which an isolated securable can be used

    def bindings(self, securable: str, name: str) -> list[Record]:
        """`{"workspace_id", "binding_type"}` of each workspace that the securable is bound to."""
        self._require_securable(securable, name)
        held = self._bindings.get(f"{securable}/{name.lower()}") or {}
        return [{"workspace_id": int(workspace), "binding_type": kind} for workspace, kind in held.items()]

    def change_bindings(
        self, securable: str, name: str, add: list[Record], remove: list[Record], caller: Caller
    ) -> list[Record]:
        """Bind the securable to workspaces and release it from others."""
        self._require_admin(caller, "MANAGE")
        self._require_securable(securable, name)
        with self._store.transaction():
            held = self._bindings.get(f"{securable}/{name.lower()}") or {}
            for binding in remove:
                held.pop(str(binding["workspace_id"]), None)
            for binding in add:
                kind = binding.get("binding_type") or BINDING_TYPES[0]
                if kind not in BINDING_TYPES:
                    raise invalid(f"binding_type '{kind}' must be one of {', '.join(BINDING_TYPES)}.")
                held[str(binding["workspace_id"])] = kind
            self._bindings.put(f"{securable}/{name.lower()}", held)
        return self.bindings(securable, name)

    def usable_containers(self, user_name: str, workspace_id: str) -> set[tuple[str, str]]:
        """(account, container) of the locations whose files the user may read and write in a workspace.

        Azure's own roles decide too: those of the credential's identity.
        """
        found = set()
        for location in self.locations():
            credential = self._credentials.get(location["credential_name"].lower())
            place = _URL.fullmatch(location["url"])
            if credential is None or place is None or not self._may_use(location, user_name):
                continue
            if not self._is_open_in("external_location", location, workspace_id):
                continue
            if not self._is_open_in("storage_credential", credential, workspace_id):
                continue
            connector = credential["azure_managed_identity"]["access_connector_id"]
            if self._azure.may_write_blobs(connector, place["account"]):
                found.add((place["account"], place["container"]))
        return found

    def _is_open_in(self, securable: str, record: Record, workspace_id: str) -> bool:
        """Isolated securables work in the workspaces that they are bound to (MS, catalogs/binding)."""
        if record["isolation_mode"] != "ISOLATION_MODE_ISOLATED":
            return True
        return workspace_id in (self._bindings.get(f"{securable}/{record['name'].lower()}") or {})

    def _may_use(self, location: Record, user_name: str) -> bool:
        if location["owner"].lower() == user_name.lower():
            return True
        held = self._grants.get(f"external_location/{location['name'].lower()}") or {}
        users = ("account users", user_name.lower())
        privileges = {item for who, items in held.items() if who.lower() in users for item in items}
        return "ALL_PRIVILEGES" in privileges or {"READ_FILES", "WRITE_FILES"} <= privileges

    def _check_location(self, name: str, body: Record) -> None:
        url = str(body.get("url") or "")
        place = _URL.fullmatch(url)
        if place is None:
            raise invalid(f"External location url '{url}' must be abfss://container@account.dfs.core.windows.net/path.")
        credential = self.credential(str(body.get("credential_name") or ""))
        slashed = url.rstrip("/") + "/"
        for other in self.locations():
            theirs = other["url"].rstrip("/") + "/"
            if other["name"].lower() != name.lower() and (slashed.startswith(theirs) or theirs.startswith(slashed)):
                raise DatabricksError(
                    400,
                    "INVALID_PARAMETER_VALUE.LOCATION_OVERLAP",
                    f"Input path url '{url}' overlaps with other external locations or volumes."
                    f" Conflicting location: {other['name']}.",
                )
        connector = credential["azure_managed_identity"]["access_connector_id"]
        if not body.get("skip_validation") and not self._azure.may_write_blobs(connector, place["account"]):
            raise denied(
                f"The Azure Managed Identity does not have READ permissions on url {url}. Please contact your account"
                " admin to update the storage credential."
            )

    def _place(self, body: Record) -> Record:
        credential = self.credential(body["credential_name"])
        return {
            "url": body["url"].rstrip("/") + ("/" if body["url"].count("/") == 3 and body["url"].endswith("/") else ""),
            "credential_name": credential["name"],
            "credential_id": credential["id"],
        }

    def _record(self, body: Record, caller: Caller) -> Record:
        now = self._now()
        return {
            "name": body["name"],
            "owner": body.get("owner") or caller.user_name,
            "comment": body.get("comment") or "",
            "read_only": body.get("read_only", False),
            "isolation_mode": body.get("isolation_mode") or "ISOLATION_MODE_OPEN",
            "metastore_id": self.metastore_id,
            "created_at": now,
            "created_by": caller.user_name,
            "updated_at": now,
            "updated_by": caller.user_name,
        }

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _require_admin(self, caller: Caller, privilege: str) -> None:
        if not caller.admin:
            raise denied(f"User does not have {privilege} on Metastore '{self.metastore()['name']}'.")

    def _require_connector(self, connector: str) -> None:
        check_connector_id(connector)
        if self._azure.get(connector) is None:
            raise invalid(f"Access connector {connector} does not exist.")

    def _require_securable(self, securable: str, name: str) -> None:
        if securable not in SECURABLES:
            raise invalid(f"'{securable}' is no securable of the local metastore: use {' or '.join(SECURABLES)}.")
        if securable == "storage_credential":
            self.credential(name)
        else:
            self.location(name)


def check_connector_id(connector: str) -> None:
    """400 unless it is the resource id of an access connector."""
    if not re.search(r"/providers/microsoft\.databricks/accessconnectors/[\w-]+$", connector, re.IGNORECASE):
        raise invalid(f"'{connector}' is no resource id of an access connector.")


def _as_written(principal: str) -> str:
    """As the metastore writes a principal: e-mail addresses in lower case (terraform-provider-databricks#3654)."""
    return principal.lower() if "@" in principal else principal


def check_privileges(securable: str, privileges: list[str]) -> None:
    """400 for a privilege that this kind of securable does not have."""
    for privilege in privileges:
        if privilege not in _PRIVILEGES[securable]:
            raise invalid(
                f"Privilege {privilege} is not applicable to {securable}: use one of"
                f" {', '.join(_PRIVILEGES[securable])}."
            )


def _name(body: Record, what: str) -> str:
    name = body.get("name")
    if not isinstance(name, str) or not re.fullmatch(r"[^\s./\x00-\x1f]{1,255}", name):
        raise invalid(f"{what} name {name!r} must have 1 to 255 characters without spaces, '.' and '/'.")
    return name


def _already(what: str, name: str) -> DatabricksError:
    return exists(f"{what} '{name}' already exists", 409)
