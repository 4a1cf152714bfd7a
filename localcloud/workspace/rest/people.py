"""Users, /api/2.0/preview/scim/v2."""

import re
from typing import Any

from starlette.responses import JSONResponse, Response

from localcloud.errors import DatabricksError
from localcloud.workspace.errors import denied, unsupported
from localcloud.workspace.rest.http import Call, Handler
from localcloud.workspace.shelf import Record
from localcloud.workspace.workspace import Workspace


def handlers(workspace: Workspace) -> list[tuple[str, str, Handler]]:
    """Method, path and handler of each call."""
    people = workspace.people

    def me(call: Call) -> Response:
        return JSONResponse(people.me(call.caller), headers={"X-Databricks-Org-Id": workspace.workspace_id})

    def listed(call: Call) -> Any:
        found = _matching(people.users(), call.text("filter", ""))
        start, count = max(1, call.number("startIndex", 1)), call.number("count", 10_000)
        shown = found[start - 1 : start - 1 + count]
        return {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": len(found),
            "startIndex": start,
            "itemsPerPage": len(shown),
            "Resources": shown,
        }

    def create(call: Call) -> Any:
        _require_admin(call)
        user = people.create(call.values)
        workspace.make_home(user["userName"])
        return JSONResponse(user, 201)

    def replace(call: Call) -> Any:
        _require_admin(call)
        return people.replace(call.text("id"), {key: item for key, item in call.values.items() if key != "id"})

    def patch(call: Call) -> Any:
        _require_admin(call)
        changes: Record = {}
        for operation in call.values.get("Operations") or []:
            if operation.get("op", "").lower() not in ("add", "replace"):
                raise unsupported(f"SCIM operation '{operation.get('op')}'")
            path, value = operation.get("path"), operation.get("value")
            changes |= {path: value} if path else value
        return people.replace(call.text("id"), changes)

    def delete(call: Call) -> Any:
        _require_admin(call)
        people.delete(call.text("id"))
        return Response(status_code=204)

    base = "/api/2.0/preview/scim/v2"
    return [
        ("GET", f"{base}/Me", me),
        ("GET", f"{base}/Users", listed),
        ("POST", f"{base}/Users", create),
        ("GET", f"{base}/Users/{{id}}", lambda call: people.get(call.text("id"))),
        ("PUT", f"{base}/Users/{{id}}", replace),
        ("PATCH", f"{base}/Users/{{id}}", patch),
        ("DELETE", f"{base}/Users/{{id}}", delete),
    ]


def _require_admin(call: Call) -> None:
    if not call.caller.admin:
        raise denied("Only administrators may change users.")


def _matching(users: list[Record], filter_: str) -> list[Record]:
    if not filter_:
        return users
    match = re.fullmatch(r'(userName|displayName|id)\s+(eq|co|sw)\s+"?([^"]*)"?', filter_.strip(), re.IGNORECASE)
    if match is None:
        raise DatabricksError(400, "INVALID_PARAMETER_VALUE", f"Given filter operator is not supported: {filter_}")
    field = {"username": "userName", "displayname": "displayName", "id": "id"}[match[1].lower()]
    wanted = match[3].lower()
    test = {"eq": str.__eq__, "co": str.__contains__, "sw": str.startswith}[match[2].lower()]
    return [user for user in users if test(str(user[field]).lower(), wanted)]
