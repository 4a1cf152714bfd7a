"""The Spark UI of a workspace's clusters, for the person who runs the local cloud.

A browser has no token to send, so whoever holds the other end of the connection decides, as for Pulumi's engine. The UI
itself answers nobody but this proxy: see `localcloud.cluster.spark_ui`.
"""

from urllib.parse import urlsplit

import httpx
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from localcloud import peers
from localcloud.cluster.spark_ui import public_path
from localcloud.workspace.rest.http import Authenticate, caller_of
from localcloud.workspace.workspace import Workspace

# What a page could send to this address under another name is not the owner's own request (DNS rebinding).
_HOSTS = ("127.0.0.1", "localhost")
_KEPT = ("content-type", "cache-control", "content-security-policy", "x-frame-options", "x-xss-protection")


def pages(workspace: Workspace, authenticate: Authenticate) -> Route:
    """The route of all pages of all clusters: read alone, for the owner or with a token of the workspace."""
    client = httpx.AsyncClient(trust_env=False, timeout=60)

    async def page(request: Request) -> Response:
        if not _is_owner(request) and caller_of(request, authenticate) is None:
            return PlainTextResponse("Only the user who runs the local cloud can open its Spark UI.", 403)
        cluster_id = request.path_params["cluster_id"]
        ui = workspace.drivers.ui(cluster_id)
        if ui is None:
            return PlainTextResponse(f"Cluster {cluster_id} is not running: its Spark UI ended with it.", 404)
        base = public_path(cluster_id)
        # Spark puts this in front of all its links (core, UIUtils.uiRoot).
        headers = {"Authorization": ui.authorization, "X-Forwarded-Context": base}
        address = httpx.URL(f"{ui.url}/{request.path_params['path']}", query=request.scope["query_string"])
        try:
            answer = await client.get(address, headers=headers)
        except httpx.HTTPError:
            return PlainTextResponse(f"The Spark UI of cluster {cluster_id} does not answer.", 502)
        kept = {name: answer.headers[name] for name in _KEPT if name in answer.headers}
        if location := answer.headers.get("location"):
            kept["location"] = _public(location, base)
        return Response(answer.content, answer.status_code, kept)

    return Route(public_path("{cluster_id}") + "/{path:path}", page, methods=["GET"])


def _is_owner(request: Request) -> bool:
    client, server = request.client, request.scope["server"]
    if client is None or request.url.hostname not in _HOSTS:
        return False
    return peers.is_own(f"ipv4:{client.host}:{client.port}", server[1])


def _public(location: str, base: str) -> str:
    """Where a redirect of the UI leads in the browser."""
    parts = urlsplit(location)
    path = parts.path if parts.path.startswith(f"{base}/") else f"{base}{parts.path}"
    return f"{path}?{parts.query}" if parts.query else path
