"""Users, permissions, storage credentials, external locations and grants of the databricks provider."""

from typing import ClassVar

from localcloud.errors import DatabricksError
from localcloud.providers.base import Failure, ProviderError, Session
from localcloud.providers.databricks_base import WorkspaceResource, known, type_token
from localcloud.providers.databricks_shape import from_service, snake
from localcloud.providers.wire import UNKNOWN, Props
from localcloud.workspace import Workspace
from localcloud.workspace import catalog as catalog_rules
from localcloud.workspace.people import DEVELOPER, check_user_name
from localcloud.workspace.permissions import KINDS
from localcloud.workspace.shelf import Record

_ENTITLEMENTS = {
    "allow_cluster_create": "allow-cluster-create",
    "allow_instance_pool_create": "allow-instance-pool-create",
    "databricks_sql_access": "databricks-sql-access",
    "workspace_access": "workspace-access",
}
# Input property, kind of object, and whether it holds a path instead of an id.
_OBJECTS = {
    "clusterId": ("clusters", False),
    "jobId": ("jobs", False),
    "clusterPolicyId": ("cluster-policies", False),
    "directoryId": ("directories", False),
    "directoryPath": ("directories", True),
    "notebookId": ("notebooks", False),
    "notebookPath": ("notebooks", True),
    "workspaceFileId": ("files", False),
    "workspaceFilePath": ("files", True),
}
_ENTRY = ("userName", "groupName", "servicePrincipalName", "permissionLevel")
_SECURABLES = {"storageCredential": "storage_credential", "externalLocation": "external_location"}


class User(WorkspaceResource):
    """A user of the workspace (resource_user.go)."""

    token = type_token("User")
    replace_on = frozenset({("userName",)})
    defaults: ClassVar[Props] = {"active": True}

    def rules(self, session: Session, inputs: Props, body: Record) -> list[Failure]:
        """The name is an e-mail address."""
        if known(inputs["userName"]):
            check_user_name(inputs["userName"])
        return []

    def make(self, workspace: Workspace, body: Record) -> str:
        """Add the user; `force` takes over one that exists."""
        scim = _scim(body)
        try:
            user = workspace.people.create(scim)
        except DatabricksError as refusal:
            if refusal.status != 409 or not body.get("force"):
                raise
            user = workspace.people.replace(workspace.people.named(body["user_name"])["id"], scim)
        workspace.make_home(user["userName"])
        return str(user["id"])

    def find(self, workspace: Workspace, id: str) -> Record:
        """The user, by the names of Terraform's provider."""
        user = workspace.people.get(id)
        held = {entry["value"] for entry in user["entitlements"]}
        return {
            "user_name": user["userName"],
            "display_name": user["displayName"],
            "active": user["active"],
            **{name: True for name, value in _ENTITLEMENTS.items() if value in held},
        }

    def change(self, workspace: Workspace, id: str, body: Record) -> None:
        """Change display name, active, entitlements."""
        workspace.people.replace(id, _scim(body))

    def remove(self, workspace: Workspace, id: str, outputs: Props) -> None:
        """Remove the user; `forceDeleteHomeDir` takes the home directory along."""
        workspace.people.delete(id)
        if outputs.get("forceDeleteHomeDir"):
            workspace.delete_path(f"/Users/{outputs['userName']}", recursive=True, caller=workspace.developer)

    def computed(self, workspace: Workspace, id: str, found: Record) -> Props:
        """Names that belong to the user."""
        return {"displayName": found["display_name"], **_places(found["user_name"])}


class Permissions(WorkspaceResource):
    """The whole access list of one object: what isn't in it is taken away (resource_permissions.go)."""

    token = type_token("Permissions")
    replace_on = frozenset({(name,) for name in _OBJECTS})

    def rules(self, session: Session, inputs: Props, body: Record) -> list[Failure]:
        """One object; levels that it has; nothing taken from administrators."""
        objects = [name for name in _OBJECTS if name in inputs]
        if len(objects) != 1:
            return [Failure((), f"exactly one object must be named, by one of {', '.join(_OBJECTS)}")]
        kind = KINDS[_OBJECTS[objects[0]][0]]
        entries = inputs["accessControls"]
        if entries == []:
            return [Failure(("accessControls",), "at least one entry must be given")]
        failures = []
        for index, entry in enumerate(entries if isinstance(entries, list) else []):
            if entry is UNKNOWN:
                continue
            level = entry.get("permissionLevel")
            if known(level) and level not in kind.levels:
                allowed = ", ".join(kind.levels)
                reason = (
                    f"permission_level {level} is not supported with {objects[0]} objects; allowed levels: {allowed}"
                )
                failures.append(Failure(("accessControls", index, "permissionLevel"), reason))
            if entry.get("groupName") == "admins":
                reason = "it is not possible to restrict any permissions from `admins`"
                failures.append(Failure(("accessControls", index, "groupName"), reason))
        return failures

    def make(self, workspace: Workspace, body: Record) -> str:
        """Replace the object's access list."""
        name = next(name for name in _OBJECTS if snake(name) in body)
        kind, by_path = _OBJECTS[name]
        object_id = str(body[snake(name)])
        if by_path:
            object_id = str(workspace.files.status(object_id)["object_id"])
        workspace.permissions.put(kind, object_id, _entries(kind, body), workspace.developer)
        return f"/{kind}/{object_id}"

    def find(self, workspace: Workspace, id: str) -> Record:
        """The entries, without the caller's own."""
        kind, object_id = _object(id)
        own = ("IS_OWNER", "CAN_MANAGE")
        entries = [
            entry
            for entry in workspace.permissions.entries(kind, object_id)
            if not (entry.get("user_name") == DEVELOPER and entry["permission_level"] in own)
        ]
        return {"object_type": KINDS[kind].object_type, "access_controls": entries}

    def change(self, workspace: Workspace, id: str, body: Record) -> None:
        """Replace the object's access list."""
        kind, object_id = _object(id)
        workspace.permissions.put(kind, object_id, _entries(kind, body), workspace.developer)

    def remove(self, workspace: Workspace, id: str, outputs: Props) -> None:
        """Give the object back to the caller alone."""
        kind, object_id = _object(id)
        workspace.permissions.put(kind, object_id, _entries(kind, {"access_controls": []}), workspace.developer)

    def inputs_now(self, found: Record, inputs: Props) -> Props:
        """Entries are a set: their order is no drift."""
        wanted = inputs.get("accessControls") or []
        order = {_key(entry): index for index, entry in enumerate(wanted)}
        actual = {_key(entry): entry for entry in from_service(found["access_controls"])}
        for entry in wanted:
            # An entry that repeats what the caller holds anyway is not answered apart.
            if entry.get("userName") == DEVELOPER:
                actual.setdefault(_key(entry), entry)
        listed = sorted(actual.items(), key=lambda item: order.get(item[0], len(order)))
        return {**inputs, "accessControls": [entry for _, entry in listed]}

    def computed(self, workspace: Workspace, id: str, found: Record) -> Props:
        """The kind of object."""
        return {"objectType": found["object_type"]}


class StorageCredential(WorkspaceResource):
    """A storage credential of the region's metastore (resource_storage_credential.go). It outlives workspaces."""

    token = type_token("StorageCredential")
    auto_named = True
    replace_on = frozenset({("name",)})
    answers = ("owner", "metastore_id", "isolation_mode", "azure_managed_identity")

    def rules(self, session: Session, inputs: Props, body: Record) -> list[Failure]:
        """A managed identity is all that the local cloud offers."""
        identity = inputs.get("azureManagedIdentity")
        if identity is None:
            return [
                Failure(("azureManagedIdentity",), "the local cloud needs azureManagedIdentity in a storage credential")
            ]
        if known(identity):
            catalog_rules.check_connector_id(identity["accessConnectorId"])
        return []

    def make(self, workspace: Workspace, body: Record) -> str:
        """Create the credential."""
        return _bound("storage_credential", workspace, workspace.catalog.create_credential(body, workspace.developer))

    def find(self, workspace: Workspace, id: str) -> Record:
        """The credential."""
        return workspace.catalog.credential(id)

    def change(self, workspace: Workspace, id: str, body: Record) -> None:
        """Change the credential."""
        workspace.catalog.update_credential(id, body, workspace.developer)

    def remove(self, workspace: Workspace, id: str, outputs: Props) -> None:
        """Delete the credential; while a location uses it only with `forceDestroy`."""
        workspace.catalog.delete_credential(id, workspace.developer, bool(outputs.get("forceDestroy")))

    def computed(self, workspace: Workspace, id: str, found: Record) -> Props:
        """Its id in the metastore."""
        return {"storageCredentialId": found["id"]}


class ExternalLocation(WorkspaceResource):
    """An external location of the region's metastore (resource_external_location.go). It outlives workspaces."""

    token = type_token("ExternalLocation")
    auto_named = True
    replace_on = frozenset({("name",)})
    answers = (
        "owner", "metastore_id", "credential_id", "created_at", "created_by", "updated_at", "updated_by",
        "isolation_mode",
    )  # fmt: skip

    def make(self, workspace: Workspace, body: Record) -> str:
        """Create the location."""
        return _bound("external_location", workspace, workspace.catalog.create_location(body, workspace.developer))

    def find(self, workspace: Workspace, id: str) -> Record:
        """The location."""
        return workspace.catalog.location(id)

    def change(self, workspace: Workspace, id: str, body: Record) -> None:
        """Change the location."""
        workspace.catalog.update_location(id, body, workspace.developer)

    def remove(self, workspace: Workspace, id: str, outputs: Props) -> None:
        """Delete the location."""
        workspace.catalog.delete_location(id, workspace.developer)


class Grants(WorkspaceResource):
    """All grants on one securable: what isn't among them is taken away (resource_grants.go)."""

    token = type_token("Grants")
    replace_on = frozenset({(name,) for name in _SECURABLES})

    def rules(self, session: Session, inputs: Props, body: Record) -> list[Failure]:
        """One securable, and privileges that it has."""
        named = [name for name in inputs if name not in ("grants", "providerConfig")]
        if len(named) != 1 or named[0] not in _SECURABLES:
            return [Failure((), f"exactly one of {', '.join(_SECURABLES)} must be given in the local cloud")]
        for grant in inputs["grants"] if isinstance(inputs["grants"], list) else []:
            if grant is not UNKNOWN and known(grant["privileges"]):
                catalog_rules.check_privileges(_SECURABLES[named[0]], grant["privileges"])
        return []

    def make(self, workspace: Workspace, body: Record) -> str:
        """Replace the grants."""
        securable = next(name for name in _SECURABLES.values() if name in body)
        id = f"{securable}/{body[securable]}"
        self.change(workspace, id, body)
        return id

    def find(self, workspace: Workspace, id: str) -> Record:
        """The grants."""
        securable, _, name = id.partition("/")
        return {securable: name, "grants": workspace.catalog.grants(securable, name)}

    def change(self, workspace: Workspace, id: str, body: Record) -> None:
        """Replace the grants."""
        securable, _, name = id.partition("/")
        wanted = {grant["principal"]: set(grant["privileges"]) for grant in body.get("grants") or []}
        held = {item["principal"]: set(item["privileges"]) for item in workspace.catalog.grants(securable, name)}
        changes = [
            {
                "principal": who,
                "add": sorted(wanted.get(who, set()) - held.get(who, set())),
                "remove": sorted(held.get(who, set()) - wanted.get(who, set())),
            }
            for who in sorted({*wanted, *held})
        ]
        workspace.catalog.change_grants(securable, name, changes, workspace.developer)
        now = {item["principal"]: set(item["privileges"]) for item in workspace.catalog.grants(securable, name)}
        if now != {who: privileges for who, privileges in wanted.items() if privileges}:
            # The published plugin waits a minute for the answer that it wants (terraform-provider-databricks#3654).
            raise ProviderError(
                f"permissions for {securable}-{name} are {_listed(now)}, but have to be {_listed(wanted)}"
            )

    def remove(self, workspace: Workspace, id: str, outputs: Props) -> None:
        """Take all grants away."""
        self.change(workspace, id, {"grants": []})

    def inputs_now(self, found: Record, inputs: Props) -> Props:
        """Grants and privileges are sets: their order is no drift."""
        wanted = {grant["principal"]: set(grant["privileges"]) for grant in inputs.get("grants") or []}
        if wanted == {item["principal"]: set(item["privileges"]) for item in found["grants"]}:
            return inputs
        return {**inputs, "grants": found["grants"]}


def _bound(securable: str, workspace: Workspace, created: Record) -> str:
    """The name of what was created; the plugin binds what is isolated to its own workspace (workspace_binding.go)."""
    name = str(created["name"])
    if created["isolation_mode"] == "ISOLATION_MODE_ISOLATED":
        binding = {"workspace_id": workspace.workspace_id}
        workspace.catalog.change_bindings(securable, name, [binding], [], workspace.developer)
    return name


def current_user(workspace: Workspace) -> Props:
    """The answer of getCurrentUser (data_current_user.go)."""
    me = workspace.people.me(workspace.developer)
    name = me["userName"]
    return {
        "id": me["id"],
        "userName": name,
        "externalId": me.get("externalId", ""),
        "alphanumeric": "".join(letter if letter.isalnum() else "_" for letter in name.split("@")[0]).lower(),
        "workspaceUrl": f"https://{workspace.url}",
        **_places(name),
    }


def _places(user_name: str) -> Props:
    return {
        "home": f"/Users/{user_name}",
        "repos": f"/Repos/{user_name}",
        "aclPrincipalId": f"users/{user_name}",
    }


def _scim(body: Record) -> Record:
    names = {"user_name": "userName", "display_name": "displayName", "active": "active", "external_id": "externalId"}
    given = {names[name]: body[name] for name in names if body.get(name) is not None}
    return {**given, "entitlements": [{"value": value} for name, value in _ENTITLEMENTS.items() if body.get(name)]}


def _listed(privileges: dict[str, set[str]]) -> str:
    return "; ".join(f"{who}: {', '.join(sorted(held))}" for who, held in sorted(privileges.items()) if held) or "none"


def _key(entry: Props) -> tuple[str, ...]:
    return tuple(str(entry.get(name, "")).lower() for name in _ENTRY)


def _object(id: str) -> tuple[str, str]:
    parts = id.split("/")
    if len(parts) != 3 or parts[1] not in KINDS:
        raise ProviderError(f"'{id}' is no id of an access list, such as /clusters/ID")
    return parts[1], parts[2]


def _entries(kind: str, body: Record) -> list[Record]:
    """The list to put: the caller is never locked out, and a job always has an owner."""
    entries = [dict(entry) for entry in body["access_controls"]]
    if kind == "jobs":
        if not any(entry["permission_level"] == "IS_OWNER" for entry in entries):
            entries.append({"user_name": DEVELOPER, "permission_level": "IS_OWNER"})
    elif "CAN_MANAGE" in KINDS[kind].levels and not any(entry.get("user_name") == DEVELOPER for entry in entries):
        entries.append({"user_name": DEVELOPER, "permission_level": "CAN_MANAGE"})
    return entries
