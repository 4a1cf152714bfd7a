"""Clusters, /api/2.1/clusters."""

from typing import Any

from localcloud.workspace.node_types import NODE_TYPES, SPARK_VERSIONS, describe
from localcloud.workspace.rest.http import Call, Handler, page
from localcloud.workspace.shelf import Record
from localcloud.workspace.workspace import Workspace


def handlers(workspace: Workspace) -> list[tuple[str, str, Handler]]:
    """Method, path and handler of each call."""
    clusters = workspace.clusters

    def create(call: Call) -> Any:
        return {"cluster_id": clusters.create(call.values, call.caller)["cluster_id"]}

    def edit(call: Call) -> None:
        clusters.edit(call.text("cluster_id"), call.values, call.caller)

    def get(call: Call) -> Any:
        return clusters.get(call.text("cluster_id"))

    def listed(call: Call) -> Any:
        found = [cluster for cluster in clusters.all()[::-1] if is_wanted(cluster, call)]
        items, fields = page(found, call, 20, 100, "page_size")
        return {"clusters": items, **fields}

    def is_wanted(cluster: Record, call: Call) -> bool:
        """The filters, which arrive as query parameters with a dot (databricks-sdk: `_fix_query_string`)."""
        states, sources = call.texts("filter_by.cluster_states"), call.texts("filter_by.cluster_sources")
        policy = call.text("filter_by.policy_id", "")
        return (
            (not states or cluster["state"] in states)
            and (not sources or cluster["cluster_source"] in sources)
            and (not policy or cluster.get("policy_id") == policy)
            and (
                "filter_by.is_pinned" not in call.values
                or clusters.is_pinned(cluster["cluster_id"]) == call.flag("filter_by.is_pinned")
            )
        )

    def events(call: Call) -> Any:
        found = clusters.events(call.text("cluster_id"), call.text("order", "DESC"), call.texts("event_types"))
        start = call.number("offset", 0)
        size = min(call.number("limit", 50), 500)
        answer: Record = {"events": found[start : start + size], "total_count": len(found)}
        if start + size < len(found):
            answer["next_page"] = {"cluster_id": call.text("cluster_id"), "offset": start + size, "limit": size}
        return answer

    def node_types(_: Call) -> Any:
        return {"node_types": [describe(node) for node in NODE_TYPES.values()]}

    def versions(_: Call) -> Any:
        return {"versions": [{"key": key, "name": name} for key, name in SPARK_VERSIONS.items()]}

    base = "/api/{version}/clusters"
    return [
        ("POST", f"{base}/create", create),
        ("POST", f"{base}/edit", edit),
        ("POST", f"{base}/start", lambda call: clusters.start(call.text("cluster_id"), call.caller)),
        ("POST", f"{base}/restart", lambda call: clusters.restart(call.text("cluster_id"), call.caller)),
        ("POST", f"{base}/delete", lambda call: clusters.terminate(call.text("cluster_id"), call.caller)),
        (
            "POST",
            f"{base}/permanent-delete",
            lambda call: clusters.permanent_delete(call.text("cluster_id"), call.caller),
        ),
        ("POST", f"{base}/pin", lambda call: clusters.pin(call.text("cluster_id"), call.caller)),
        ("POST", f"{base}/unpin", lambda call: clusters.pin(call.text("cluster_id"), call.caller, pinned=False)),
        ("POST", f"{base}/events", events),
        ("GET", f"{base}/get", get),
        ("GET", f"{base}/list", listed),
        ("GET", f"{base}/list-node-types", node_types),
        ("GET", f"{base}/spark-versions", versions),
    ]
