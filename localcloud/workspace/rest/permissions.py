"""Access lists, /api/2.0/permissions."""

from collections.abc import Callable
from typing import Any

from localcloud.workspace.rest.http import Call, Handler
from localcloud.workspace.shelf import Record
from localcloud.workspace.workspace import Workspace


def handlers(workspace: Workspace) -> list[tuple[str, str, Handler]]:
    """Method, path and handler of each call."""
    permissions = workspace.permissions

    def change(how: Callable[..., Record], call: Call) -> Record:
        entries = call.values.get("access_control_list") or []
        return how(call.text("kind"), call.text("object_id"), entries, call.caller)

    def levels(call: Call) -> Any:
        found = permissions.levels(call.text("kind"), call.text("object_id"))
        return {"permission_levels": [{"permission_level": level, "description": level} for level in found]}

    path = "/api/2.0/permissions/{kind}/{object_id}"
    return [
        ("GET", path, lambda call: permissions.get(call.text("kind"), call.text("object_id"))),
        ("PUT", path, lambda call: change(permissions.put, call)),
        ("PATCH", path, lambda call: change(permissions.patch, call)),
        ("GET", f"{path}/permissionLevels", levels),
    ]
