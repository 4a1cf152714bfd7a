"""Storage credentials, external locations, grants, /api/2.1/unity-catalog."""

from typing import Any

from localcloud.workspace.rest.http import Call, Handler
from localcloud.workspace.workspace import Workspace


def handlers(workspace: Workspace) -> list[tuple[str, str, Handler]]:
    """Method, path and handler of each call."""
    catalog = workspace.catalog

    def update_credential(call: Call) -> Any:
        return catalog.update_credential(call.text("name"), _changes(call), call.caller)

    def update_location(call: Call) -> Any:
        return catalog.update_location(call.text("name"), _changes(call), call.caller)

    def grants(call: Call) -> Any:
        return {"privilege_assignments": catalog.grants(call.text("securable"), call.text("name"))}

    def change_grants(call: Call) -> Any:
        changes = call.values.get("changes") or []
        found = catalog.change_grants(call.text("securable"), call.text("name"), changes, call.caller)
        return {"privilege_assignments": found}

    def assignment(_: Call) -> Any:
        return {"workspace_id": int(workspace.workspace_id), "metastore_id": catalog.metastore_id}

    def bindings(call: Call) -> Any:
        return {"bindings": catalog.bindings(call.text("securable"), call.text("name"))}

    def change_bindings(call: Call) -> Any:
        add, remove = call.values.get("add") or [], call.values.get("remove") or []
        found = catalog.change_bindings(call.text("securable"), call.text("name"), add, remove, call.caller)
        return {"bindings": found}

    base = "/api/2.1/unity-catalog"
    credential, location = f"{base}/storage-credentials", f"{base}/external-locations"
    held = f"{base}/permissions/{{securable}}/{{name}}"
    bound = f"{base}/bindings/{{securable}}/{{name}}"
    return [
        ("GET", f"{base}/metastore_summary", lambda _: catalog.metastore()),
        ("GET", f"{base}/current-metastore-assignment", assignment),
        ("POST", credential, lambda call: catalog.create_credential(call.values, call.caller)),
        ("GET", credential, lambda _: {"storage_credentials": catalog.credentials()}),
        ("GET", f"{credential}/{{name}}", lambda call: catalog.credential(call.text("name"))),
        ("PATCH", f"{credential}/{{name}}", update_credential),
        (
            "DELETE",
            f"{credential}/{{name}}",
            lambda call: catalog.delete_credential(call.text("name"), call.caller, call.flag("force")),
        ),
        ("POST", location, lambda call: catalog.create_location(call.values, call.caller)),
        ("GET", location, lambda _: {"external_locations": catalog.locations()}),
        ("GET", f"{location}/{{name}}", lambda call: catalog.location(call.text("name"))),
        ("PATCH", f"{location}/{{name}}", update_location),
        ("DELETE", f"{location}/{{name}}", lambda call: catalog.delete_location(call.text("name"), call.caller)),
        ("GET", held, grants),
        ("PATCH", held, change_grants),
        ("GET", bound, bindings),
        ("PATCH", bound, change_bindings),
    ]


def _changes(call: Call) -> dict[str, Any]:
    return {key: value for key, value in call.values.items() if key != "name"}
