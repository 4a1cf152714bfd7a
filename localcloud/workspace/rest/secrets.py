"""Secret scopes, secrets, access lists, /api/2.0/secrets."""

import base64
from typing import Any

from localcloud.workspace.errors import invalid, unsupported
from localcloud.workspace.rest.http import Call, Handler
from localcloud.workspace.workspace import Workspace


def handlers(workspace: Workspace) -> list[tuple[str, str, Handler]]:
    """Method, path and handler of each call."""
    secrets = workspace.secrets

    def create_scope(call: Call) -> None:
        if call.text("scope_backend_type", "DATABRICKS") != "DATABRICKS":
            raise unsupported("A scope backed by Azure Key Vault")
        manage = call.text("initial_manage_principal", "") or None
        secrets.create_scope(call.text("scope"), call.caller, manage)

    def put(call: Call) -> None:
        if ("string_value" in call.values) == ("bytes_value" in call.values):
            raise invalid("Exactly one of string_value and bytes_value must be given.")
        text = call.values.get("string_value")
        value = call.content("bytes_value") if text is None else str(text).encode()
        secrets.put(call.text("scope"), call.text("key"), value, call.caller)

    def get(call: Call) -> Any:
        value = secrets.get(call.text("scope"), call.text("key"), call.caller)
        return {"key": call.text("key"), "value": base64.b64encode(value).decode()}

    def put_acl(call: Call) -> None:
        secrets.put_acl(call.text("scope"), call.text("principal"), call.text("permission"), call.caller)

    def acl(call: Call) -> Any:
        return secrets.get_acl(call.text("scope"), call.text("principal"), call.caller)

    base = "/api/2.0/secrets"
    return [
        ("POST", f"{base}/scopes/create", create_scope),
        ("POST", f"{base}/scopes/delete", lambda call: secrets.delete_scope(call.text("scope"), call.caller)),
        ("GET", f"{base}/scopes/list", lambda _: {"scopes": secrets.scopes()}),
        ("POST", f"{base}/put", put),
        ("GET", f"{base}/get", get),
        ("GET", f"{base}/list", lambda call: {"secrets": secrets.keys(call.text("scope"), call.caller)}),
        ("POST", f"{base}/delete", lambda call: secrets.delete(call.text("scope"), call.text("key"), call.caller)),
        ("POST", f"{base}/acls/put", put_acl),
        ("GET", f"{base}/acls/get", acl),
        ("GET", f"{base}/acls/list", lambda call: {"items": secrets.acls(call.text("scope"), call.caller)}),
        (
            "POST",
            f"{base}/acls/delete",
            lambda call: secrets.delete_acl(call.text("scope"), call.text("principal"), call.caller),
        ),
    ]
