"""Directories, notebooks and files, /api/2.0/workspace and /api/2.0/workspace-files."""

import base64
from typing import Any

from starlette.responses import Response

from localcloud.workspace.errors import unsupported
from localcloud.workspace.rest.http import Call, Handler
from localcloud.workspace.workspace import Workspace


def handlers(workspace: Workspace) -> list[tuple[str, str, Handler]]:
    """Method, path and handler of each call."""
    files, access = workspace.files, workspace.file_access

    def write(call: Call) -> Any:
        access.require_write(call.text("path"), call.caller)
        made = files.write(
            call.text("path"),
            call.content("content"),
            call.text("format", "SOURCE"),
            call.text("language", "") or None,
            call.flag("overwrite"),
        )
        return {"object_id": made["object_id"]}

    def write_raw(call: Call) -> Any:
        path = "/" + call.text("path")
        access.require_write(path, call.caller)
        made = files.write(path, call.content("content"), "RAW", None, call.flag("overwrite"))
        return {"path": made["path"]}

    def export(call: Call) -> Any:
        if call.text("format", "SOURCE") not in ("SOURCE", "AUTO", "RAW"):
            raise unsupported(f"Export format {call.text('format')}")
        access.require(call.text("path"), call.caller, "CAN_READ")
        content = files.read(call.text("path"))
        if call.flag("direct_download"):
            return Response(content, media_type="application/octet-stream")
        return {"content": base64.b64encode(content).decode()}

    def listed(call: Call) -> Any:
        access.require(call.text("path"), call.caller, "CAN_READ")
        found = files.children(call.text("path"))
        return {"objects": [item for item in found if access.holds(item["path"], call.caller, "CAN_READ")]}

    def status(call: Call) -> Any:
        access.require(call.text("path"), call.caller, "CAN_READ")
        return files.status(call.text("path"))

    def mkdirs(call: Call) -> None:
        access.require_directory(call.text("path"), call.caller)
        files.mkdirs(call.text("path"))

    def delete(call: Call) -> None:
        workspace.delete_path(call.text("path"), call.flag("recursive"), call.caller)

    base = "/api/2.0/workspace"
    return [
        ("POST", f"{base}/import", write),
        ("POST", "/api/2.0/workspace-files/import-file/{path:path}", write_raw),
        ("GET", f"{base}/export", export),
        ("GET", f"{base}/list", listed),
        ("GET", f"{base}/get-status", status),
        ("POST", f"{base}/mkdirs", mkdirs),
        ("POST", f"{base}/delete", delete),
    ]
