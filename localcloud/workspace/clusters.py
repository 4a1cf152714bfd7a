"""Clusters: their settings, states and events. The Spark driver behind a running cluster is in `drivers.py`."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime

from localcloud.store import Store
from localcloud.workspace import cluster_spec
from localcloud.workspace.drivers import Drivers, Spawn
from localcloud.workspace.errors import denied, invalid, wrong_state
from localcloud.workspace.libraries import Libraries
from localcloud.workspace.people import Caller, People
from localcloud.workspace.permissions import Permissions
from localcloud.workspace.policies import Policies
from localcloud.workspace.records import ClusterRecords
from localcloud.workspace.shelf import Record


def in_background(work: Callable[[], None]) -> None:
    """Run it in a thread of its own."""
    threading.Thread(target=work, daemon=True).start()


class Clusters:
    """The clusters of one workspace.

    azure_tags: the tags of the workspace's resource in Azure, which its clusters inherit
    """

    def __init__(
        self,
        store: Store,
        *,
        records: ClusterRecords,
        drivers: Drivers,
        libraries: Libraries,
        policies: Policies,
        permissions: Permissions,
        people: People,
        azure_tags: Callable[[], dict[str, str]] = dict,
        spawn: Spawn = in_background,
    ) -> None:
        self._store = store
        self._records = records
        self._drivers = drivers
        self._libraries = libraries
        self._policies = policies
        self._permissions = permissions
        self._people = people
        self._azure_tags = azure_tags
        self._spawn = spawn
        permissions.register("clusters", records.has)

    def create(self, body: Record, caller: Caller, start: bool = True) -> Record:
        """Add a cluster and begin to start it, unless `start` is false. Refuses what `prepare` refuses."""
        with self._store.transaction():
            spec = self.prepare(body, caller)
            number = self._store.next_id("databricks/cluster")
            moment = datetime.fromtimestamp(self._records.now() / 1000, UTC)
            record = {
                "cluster_id": f"{moment:%m%d-%H%M%S}-local{number:03}",
                "creator_user_name": caller.user_name,
                "cluster_source": "API",
                "state": "TERMINATED",
                "state_message": "",
                **spec,
            }
            self._records.put(record)
            self._permissions.created("clusters", record["cluster_id"], caller.user_name)
            self._records.event(record["cluster_id"], "CREATING")
        if start:
            self.start(record["cluster_id"], caller)
        return self.get(record["cluster_id"])

    def prepare(self, body: Record, caller: Caller, cluster_id: str | None = None) -> Record:
        """The settings as the service would keep them; refuses what breaks a rule or the cluster's policy."""
        spec = {name: body[name] for name in cluster_spec.FIELDS if body.get(name) is not None}
        # Policies compare values, so these must be of the right types before; and what a policy fills in, after.
        cluster_spec.check_types(spec)
        owned = [
            item
            for item in self._records.values()
            if item.get("policy_id") == spec.get("policy_id")
            and item["creator_user_name"] == caller.user_name
            and item["cluster_id"] != cluster_id
        ]
        spec = self._policies.apply(spec, caller, len(owned))
        cluster_spec.check({**body, **spec})
        if not caller.admin and not spec.get("policy_id"):
            raise denied(
                "You are not authorized to create clusters. Please contact your administrator for permission or a"
                " policy."
            )
        if cluster_spec.access_mode(spec) == "SINGLE_USER":
            spec.setdefault("single_user_name", caller.user_name)
            if not self._people.has_principal(spec["single_user_name"]):
                raise invalid(f"single_user_name: user {spec['single_user_name']} does not exist in this workspace.")
        spec.setdefault("cluster_name", "")
        spec.setdefault("autotermination_minutes", 120)
        spec.setdefault("driver_node_type_id", spec["node_type_id"])
        return spec

    def edit(self, cluster_id: str, body: Record, caller: Caller) -> Record:
        """Replace the settings; a running cluster restarts with them."""
        self._authorize(cluster_id, caller, "CAN_MANAGE")
        with self._store.transaction():
            old = self._records.get(cluster_id)
            self._require_state(old, "RUNNING", "TERMINATED")
            spec = self.prepare(body, caller, cluster_id)
            kept = {name: value for name, value in old.items() if name not in cluster_spec.FIELDS}
            self._records.put(kept | spec)
            self._records.event(cluster_id, "EDITED")
        if old["state"] == "RUNNING":
            self.restart(cluster_id, caller)
        return self.get(cluster_id)

    def get(self, cluster_id: str) -> Record:
        """The cluster; refused if there is none."""
        return self._described(self._records.get(cluster_id))

    def all(self) -> list[Record]:
        """All clusters, oldest first."""
        return [self._described(record) for record in self._records.values()]

    def is_pinned(self, cluster_id: str) -> bool:
        """Whether the cluster is kept for longer than 30 days after its end."""
        # The API's documentation leaves the field out, but the service answers it (terraform-provider-databricks#4203).
        return "pinned_by_user_name" in self._records.get(cluster_id)

    def pin(self, cluster_id: str, caller: Caller, pinned: bool = True) -> None:
        """Pin the cluster, or unpin it; administrators alone may."""
        if not caller.admin:
            raise denied("Only administrators can pin and unpin clusters.")
        if self.is_pinned(cluster_id) != pinned:
            self._records.update(cluster_id, pinned_by_user_name=caller.user_name if pinned else None)
            self._records.event(cluster_id, "PINNED" if pinned else "UNPINNED")

    def events(self, cluster_id: str, order: str = "DESC", types: list[str] | None = None) -> list[Record]:
        """What happened to a cluster, newest first unless order is ASC."""
        events = self._records.events(cluster_id)
        wanted = [event for event in events if not types or event["type"] in types]
        return wanted if order == "ASC" else wanted[::-1]

    def start(self, cluster_id: str, caller: Caller) -> None:
        """Begin to start a terminated cluster."""
        self._authorize(cluster_id, caller, "CAN_RESTART")
        asked = self._drivers.stops(cluster_id)
        with self._store.transaction():
            self._require_state(self._records.get(cluster_id), "TERMINATED")
            self._records.update(cluster_id, state="PENDING", state_message="Starting Spark")
        self._drivers.start_soon(cluster_id, asked, self._spawn)

    def restart(self, cluster_id: str, caller: Caller) -> None:
        """Stop and start a running cluster; what runs on it is lost."""
        self._authorize(cluster_id, caller, "CAN_RESTART")
        asked = self._drivers.stops(cluster_id)
        with self._store.transaction():
            self._require_state(self._records.get(cluster_id), "RUNNING")
            self._records.update(cluster_id, state="RESTARTING", state_message="Cluster is restarting")
            self._records.event(cluster_id, "RESTARTING")
        self._drivers.restart_soon(cluster_id, asked, self._spawn)

    def terminate(self, cluster_id: str, caller: Caller) -> None:
        """Stop a cluster, also one that is starting; its settings stay."""
        self._authorize(cluster_id, caller, "CAN_RESTART")
        with self._store.transaction():
            if self._records.get(cluster_id)["state"] in ("TERMINATED", "TERMINATING"):
                return
            self._records.update(cluster_id, state="TERMINATING", state_message="Terminated by user")
        self._drivers.stop_soon(cluster_id, "USER_REQUEST", "Terminated by user", self._spawn)

    def permanent_delete(self, cluster_id: str, caller: Caller) -> None:
        """Stop a cluster and remove it with its events; a pinned one stays."""
        self._authorize(cluster_id, caller, "CAN_MANAGE")
        if self.is_pinned(cluster_id):
            # terraform-provider-databricks#113
            raise invalid(f"Cannot delete pinned cluster {cluster_id}. Please ask an admin to unpin the cluster first.")
        self._drivers.stop(cluster_id, "USER_REQUEST", "Deleted by user")
        self._records.delete(cluster_id)
        self._drivers.forget(cluster_id)
        self._libraries.forget(cluster_id)
        self._permissions.deleted("clusters", cluster_id)

    def _authorize(self, cluster_id: str, caller: Caller, level: str) -> None:
        self._records.get(cluster_id)
        if not self._permissions.holds("clusters", cluster_id, caller, level):
            raise denied(f"{caller.user_name} does not have {level} permissions on cluster {cluster_id}.")

    def _described(self, record: Record) -> Record:
        """The cluster as the service answers it: with its own tags, and with what a single node by `kind` needs."""
        defaults = {
            "Vendor": "Databricks",
            "Creator": record["creator_user_name"],
            "ClusterName": record["cluster_name"],
            "ClusterId": record["cluster_id"],
        }
        defaults |= self._azure_tags()
        answer = cluster_spec.completed(record)
        if tags := answer.get("custom_tags"):
            # A key that the cluster has already, inherited or its own (terraform-provider-databricks#1637).
            answer["custom_tags"] = {f"x_{key}" if key in defaults else key: value for key, value in tags.items()}
        return {**answer, "default_tags": defaults}

    def _require_state(self, record: Record, *states: str) -> None:
        if record["state"] not in states:
            raise wrong_state(record["cluster_id"], record["state"])
