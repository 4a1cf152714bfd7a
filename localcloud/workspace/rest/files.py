"""Directories, notebooks and files, /api/2.0/workspace and /api/2.0/workspace-files."""

import base64
from typing import Any

from starlette.responses import Response

from localcloud.workspace.errors import unsupported
from localcloud.workspace.rest.http import Call, Handler
from localcloud.workspace.workspace import Workspace


def handlers(workspace: Workspace) -> list[tuple[str, str, Handler]]:
    """Method, path and handler of each call."""
    files = workspace.files

    def write(call: Call) -> Any:
        made = files.write(
            call.text("path"),
            call.content("content"),
            call.text("format", "SOURCE"),
            call.text("language", "") or None,
            call.flag("overwrite"),
        )
        return {"object_id": made["object_id"]}

    def write_raw(call: Call) -> Any:
        made = files.write("/" + call.text("path"), call.content("content"), "RAW", None, call.flag("overwrite"))
        return {"path": made["path"]}

    def export(call: Call) -> Any:
        if call.text("format", "SOURCE") not in ("SOURCE", "AUTO", "RAW"):
            raise unsupported(f"Export format {call.text('format')}")
        content = files.read(call.text("path"))
        if call.flag("direct_download"):
            return Response(content, media_type="application/octet-stream")
        return {"content": base64.b64encode(content).decode()}

    base = "/api/2.0/workspace"
    return [
        ("POST", f"{base}/import", write),
        ("POST", "/api/2.0/workspace-files/import-file/{path:path}", write_raw),
        ("GET", f"{base}/export", export),
        ("GET", f"{base}/list", lambda call: {"objects": files.children(call.text("path"))}),
        ("GET", f"{base}/get-status", lambda call: files.status(call.text("path"))),
        ("POST", f"{base}/mkdirs", lambda call: files.mkdirs(call.text("path")) and None),
        ("POST", f"{base}/delete", lambda call: workspace.delete_path(call.text("path"), call.flag("recursive"))),
    ]
