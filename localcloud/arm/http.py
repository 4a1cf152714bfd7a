"""ARM's REST API, as far as it is needed to look at what exists, and to create and delete by id."""

import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from localcloud import faults
from localcloud.arm import ids
from localcloud.arm.manager import Arm
from localcloud.arm.rehearsal import Rehearsal
from localcloud.arm.throttle import Operation, Throttle
from localcloud.errors import AzureError

_OPERATIONS: dict[str, Operation] = {"PUT": "write", "POST": "write", "DELETE": "delete"}
_FORCE_TYPE = "microsoft.databricks/workspaces"

# Status and content.
_Answer = tuple[int, Any]


def app(arm: Arm, token: str, throttle: Throttle, rehearsal: Rehearsal) -> Starlette:
    """The ASGI application. Every request needs `Authorization: Bearer <token>`; api-version is not looked at.

    `/local/rehearsal` is no part of ARM: GET and PUT `{"latencies": 1.0}`, see `Rehearsal`.
    """

    def resources(request: Request, body: bytes) -> _Answer:
        throttle.take(_OPERATIONS.get(request.method, "read"))
        return _answer(arm, request, body)

    def rehearse(request: Request, body: bytes) -> _Answer:
        if request.method == "PUT":
            rehearsal.set_latencies(_parsed(body).get("latencies"))
        return 200, {"latencies": rehearsal.latencies}

    return Starlette(
        routes=[
            Route("/local/rehearsal", _endpoint(rehearse, token), methods=["GET", "PUT"]),
            Route("/{path:path}", _endpoint(resources, token), methods=["GET", "PUT", "POST", "DELETE"]),
        ]
    )


def _endpoint(answer: Callable[[Request, bytes], _Answer], token: str) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        try:
            _authenticate(request, token)
            body = await request.body()
            # The rules read and write SQLite: not in the event loop.
            status, content = await run_in_threadpool(answer, request, body)
        except AzureError as error:
            headers = {"Retry-After": str(error.retry_after)} if error.retry_after else None
            return JSONResponse(error.body(), status_code=error.status, headers=headers)
        except Exception as error:
            fault = AzureError(500, "InternalServerError", faults.explain(f"{request.method} of ARM", error))
            return JSONResponse(fault.body(), status_code=fault.status)
        return Response(status_code=status) if content is None else JSONResponse(content, status_code=status)

    return serve


def _authenticate(request: Request, token: str) -> None:
    given = request.headers.get("authorization")
    if given is None:
        raise AzureError(401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")
    if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        raise AzureError(401, "InvalidAuthenticationToken", "The access token is invalid.")


def _answer(arm: Arm, request: Request, body: bytes) -> _Answer:
    path = request.url.path.rstrip("/")
    parts = path.strip("/").split("/")
    if request.method == "POST":
        id, _, action = path.rpartition("/")
        if action.lower() != "listkeys":
            raise AzureError(404, "InvalidResourceType", f"The local cloud does not offer the action '{action}'.")
        return 200, arm.list_keys(id)
    if len(parts) % 2:
        if request.method not in ("GET", "HEAD"):
            raise AzureError(405, "MethodNotAllowed", f"'{path}' is a list, which can only be read.")
        return 200, {"value": _list(arm, parts)}
    if request.method == "GET":
        return 200, arm.require(path)
    exists = arm.get(path) is not None
    if request.method == "HEAD":
        # Learn, Resources - Check Existence By Id. Starlette adds HEAD wherever there is GET.
        return 204 if exists else 404, None
    if request.method == "PUT":
        return 200 if exists else 201, arm.put(path, _parsed(body))
    return _delete(arm, path, request), None


def _delete(arm: Arm, path: str, request: Request) -> int:
    """Delete the resource at the path; returns the status."""
    forced = request.query_params.get("forceDeletion", "").lower() == "true"
    forced |= _FORCE_TYPE in request.query_params.get("forceDeletionTypes", "").lower()
    if arm.delete(path, force=forced):
        return 200
    arm.require_group(path)
    return 204


def _list(arm: Arm, parts: list[str]) -> list[dict[str, Any]]:
    """Subscriptions, resource groups, resources, or all of one type: `SCOPE/providers/Microsoft.X/type`."""
    lower = [part.lower() for part in parts]
    subscription = arm.client_config()["subscriptionId"]
    if lower == ["subscriptions"]:
        return [{"id": f"/subscriptions/{subscription}", "subscriptionId": subscription, "state": "Enabled"}]
    if len(parts) < 3 or lower[:2] != ["subscriptions", subscription]:
        raise AzureError(404, "SubscriptionNotFound", f"The subscription '{parts[-1]}' could not be found.")
    if lower[2:] == ["resourcegroups"]:
        return arm.list_groups()
    if lower[2:] == ["resources"]:
        return arm.list_resources()
    if len(parts) == 5 and lower[2] == "resourcegroups" and lower[4] == "resources":
        return arm.list_resources(parts[3])
    # A list's path is an id without its last name.
    kind = ids.parse("/" + "/".join([*parts, "*"]))
    scope = "/" + "/".join(parts[:-3] if lower[-3] == "providers" else parts[:-1])
    return arm.list_below(scope, kind.type)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise AzureError(400, "InvalidRequestContent", "The request content is not a JSON object.")
    return value
