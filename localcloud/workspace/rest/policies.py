"""Cluster policies, /api/2.0/policies/clusters."""

from typing import Any

from localcloud.workspace.rest.http import Call, Handler
from localcloud.workspace.workspace import Workspace


def handlers(workspace: Workspace) -> list[tuple[str, str, Handler]]:
    """Method, path and handler of each call."""
    policies = workspace.policies

    def create(call: Call) -> Any:
        return {"policy_id": policies.create(call.values, call.caller)["policy_id"]}

    def edit(call: Call) -> None:
        policies.edit(call.text("policy_id"), call.values, call.caller)

    base = "/api/2.0/policies/clusters"
    return [
        ("POST", f"{base}/create", create),
        ("POST", f"{base}/edit", edit),
        ("POST", f"{base}/delete", lambda call: policies.delete(call.text("policy_id"), call.caller)),
        ("GET", f"{base}/get", lambda call: policies.get(call.text("policy_id"))),
        ("GET", f"{base}/list", lambda call: {"policies": policies.all()}),
    ]
