"""The REST API of a workspace, one file for each group."""

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from localcloud.workspace.rest import (
    catalog,
    clusters,
    files,
    jobs,
    libraries,
    people,
    permissions,
    policies,
    secrets,
    spark_ui,
)
from localcloud.workspace.rest.http import Authenticate, not_found, route
from localcloud.workspace.workspace import Workspace

_GROUPS = (clusters, libraries, policies, jobs, secrets, files, permissions, people, catalog)


def make_app(workspace: Workspace, authenticate: Authenticate) -> Starlette:
    """The API of one workspace. authenticate: who a bearer token belongs to, None for an unknown one."""

    async def config(request: Request) -> Response:
        # Clients ask here, without a token, before anything else.
        issuer = str(request.base_url) + "oidc"
        return JSONResponse({"oidc_endpoint": issuer, "workspace_id": workspace.workspace_id})

    async def unknown(request: Request, _: Any) -> Response:
        return not_found(request)

    routes = [Route("/.well-known/databricks-config", config), spark_ui.pages(workspace, authenticate)]
    for group in _GROUPS:
        routes += [route(method, path, handler, authenticate) for method, path, handler in group.handlers(workspace)]
    return Starlette(routes=routes, exception_handlers={404: unknown, 405: unknown})
