"""What all REST files share: tokens, parameters, errors, paging."""

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from localcloud import faults
from localcloud.errors import CloudError, DatabricksError
from localcloud.workspace.errors import invalid
from localcloud.workspace.people import Caller
from localcloud.workspace.shelf import Record

Authenticate = Callable[[str], Caller | None]


class Call:
    """One authenticated request: who calls, and the parameters of its path, else of its body, else of its query."""

    def __init__(self, caller: Caller, values: Record) -> None:
        self.caller = caller
        self.values = values

    def text(self, name: str, default: str | None = None) -> str:
        """A string; without a default it must be there."""
        value = self.values.get(name, default)
        if value is None:
            raise invalid(f"Missing required field: {name}")
        if not isinstance(value, str):
            raise invalid(f"Field {name} must be a string, not {value!r}.")
        return value

    def number(self, name: str, default: int | None = None) -> int:
        """A whole number; without a default it must be there."""
        value = self.values.get(name, default)
        if value is None:
            raise invalid(f"Missing required field: {name}")
        try:
            return int(value)
        except (TypeError, ValueError):
            raise invalid(f"Field {name} must be a number, not {value!r}.") from None

    def flag(self, name: str) -> bool:
        """A boolean, false if it isn't there."""
        return self.values.get(name) in (True, "true", "True", "1")

    def texts(self, name: str) -> list[str]:
        """A list of strings, empty if it isn't there."""
        value = self.values.get(name) or []
        return value if isinstance(value, list) else [value]

    def content(self, name: str) -> bytes:
        """Bytes: of an uploaded form field, else Base64 text."""
        value = self.values.get(name, "")
        if isinstance(value, bytes):
            return value
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError, TypeError):
            raise invalid(f"Field {name} must be Base64.") from None


Handler = Callable[[Call], Any]


def route(method: str, path: str, handler: Handler, authenticate: Authenticate) -> Route:
    """A route whose handler gets a Call and returns the JSON body (None: an empty object) or a Response."""

    async def endpoint(request: Request) -> Response:
        try:
            caller = _caller(request, authenticate)
            call = Call(caller, await _values(request))
            answer = await run_in_threadpool(handler, call)
            return answer if isinstance(answer, Response) else JSONResponse({} if answer is None else answer)
        except CloudError as refusal:
            return JSONResponse(refusal.body(), refusal.status)
        except Exception as error:
            fault = DatabricksError(500, "INTERNAL_ERROR", faults.explain(f"{method} {path}", error))
            return JSONResponse(fault.body(), fault.status)

    return Route(path, endpoint, methods=[method])


def page(items: list[Any], call: Call, default: int, most: int, size_name: str = "limit") -> tuple[list[Any], Record]:
    """One page of a list, and the paging fields of the answer."""
    size = call.number(size_name, default)
    if not 0 <= size <= most:
        raise invalid(f"{size_name} must be between 1 and {most}, not {size}.")
    size = size or default
    token = call.text("page_token", "") or "0"
    if not token.isdigit():
        raise invalid(f"Invalid page token: {token}")
    start = int(token)
    fields: Record = {}
    if start + size < len(items):
        fields = {"has_more": True, "next_page_token": str(start + size)}
    if start:
        fields["prev_page_token"] = str(max(0, start - size))
    return items[start : start + size], fields


def not_found(request: Request) -> Response:
    """What the service answers for a path that it doesn't have."""
    refusal = DatabricksError(404, "ENDPOINT_NOT_FOUND", f"No API found for '{request.method} {request.url.path}'")
    return JSONResponse(refusal.body(), refusal.status)


def caller_of(request: Request, authenticate: Authenticate) -> Caller | None:
    """Whose token a request carries; None for an unknown one, or none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return authenticate(token.strip()) if scheme.lower() == "bearer" else None


def _caller(request: Request, authenticate: Authenticate) -> Caller:
    caller = caller_of(request, authenticate)
    if caller is None:
        raise DatabricksError(
            401, "UNAUTHENTICATED", "Credential was not sent or was of an unsupported type for this API."
        )
    return caller


async def _values(request: Request) -> Record:
    # What the path says comes last: it wins.
    return {**await _given(request), **request.path_params}


async def _given(request: Request) -> Record:
    values: Record = {}
    for name in request.query_params:
        found = request.query_params.getlist(name)
        values[name] = found if len(found) > 1 else found[0]
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        async with request.form() as form:
            for name, value in form.items():
                values[name] = value if isinstance(value, str) else await value.read()
        return values
    body = await request.body()
    if request.headers.get("content-type", "").startswith("application/octet-stream"):
        values["content"] = body
    elif body and request.method != "GET":
        try:
            parsed = json.loads(body)
        except ValueError:
            raise DatabricksError(400, "MALFORMED_REQUEST", "The body of the request is no JSON.") from None
        if not isinstance(parsed, dict):
            raise DatabricksError(400, "MALFORMED_REQUEST", "The body of the request must be a JSON object.")
        values |= parsed
    return values
