"""Libraries of clusters, /api/2.0/libraries."""

from typing import Any

from localcloud.workspace.errors import invalid
from localcloud.workspace.rest.http import Call, Handler
from localcloud.workspace.shelf import Record
from localcloud.workspace.workspace import Workspace


def handlers(workspace: Workspace) -> list[tuple[str, str, Handler]]:
    """Method, path and handler of each call."""
    libraries = workspace.libraries

    def install(call: Call) -> None:
        libraries.add(call.text("cluster_id"), _listed(call), call.caller)

    def uninstall(call: Call) -> None:
        libraries.remove(call.text("cluster_id"), _listed(call), call.caller)

    def status(call: Call) -> Any:
        cluster_id = call.text("cluster_id")
        return {"cluster_id": cluster_id, "library_statuses": libraries.statuses(cluster_id)}

    base = "/api/2.0/libraries"
    return [
        ("POST", f"{base}/install", install),
        ("POST", f"{base}/uninstall", uninstall),
        ("GET", f"{base}/cluster-status", status),
        ("GET", f"{base}/all-cluster-statuses", lambda _: {"statuses": libraries.all_statuses()}),
    ]


def _listed(call: Call) -> list[Record]:
    libraries = call.values.get("libraries")
    if not isinstance(libraries, list):
        raise invalid("Missing required field: libraries")
    return libraries
