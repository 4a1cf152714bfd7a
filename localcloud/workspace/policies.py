"""Cluster policies: rules in JSON, each for one attribute of a cluster, enforced when a cluster is made or edited."""

import json
import re
from typing import Any

from localcloud.store import Store
from localcloud.workspace.errors import denied, invalid, missing
from localcloud.workspace.node_types import NODE_TYPES
from localcloud.workspace.people import Caller
from localcloud.workspace.permissions import Permissions
from localcloud.workspace.shelf import Record, Shelf

_MAPS = ("spark_conf", "spark_env_vars", "custom_tags")
_ATTRIBUTES = {
    "autotermination_minutes", "autoscale.min_workers", "autoscale.max_workers", "num_workers", "node_type_id",
    "driver_node_type_id", "spark_version", "data_security_mode", "single_user_name", "is_single_node", "kind",
    "cluster_name", "runtime_engine", "use_ml_runtime", "enable_elastic_disk", "enable_local_disk_encryption",
    "azure_attributes.availability", "azure_attributes.first_on_demand", "azure_attributes.spot_bid_max_price",
    "cluster_type", "dbus_per_hour",
}  # fmt: skip
_NEEDS = {
    "fixed": ("value",),
    "forbidden": (),
    "allowlist": ("values",),
    "blocklist": ("values",),
    "regex": ("pattern",),
    "range": (),
    "unlimited": (),
}


class Policies:
    """The cluster policies of one workspace; administrators write them, holders of CAN_USE use them."""

    def __init__(self, store: Store, workspace_id: str, permissions: Permissions) -> None:
        self._store = store
        self._permissions = permissions
        self._policies = Shelf(store, "policy", workspace_id)
        permissions.register("cluster-policies", lambda policy_id: self._policies.get(policy_id) is not None)

    def create(self, body: Record, caller: Caller) -> Record:
        """Add a policy; its name is unique."""
        self._require_admin(caller)
        with self._store.transaction():
            self.check(body)
            policy_id = f"{self._store.next_id('databricks/policy'):016X}"
            record = {"policy_id": policy_id, "creator_user_name": caller.user_name, "is_default": False, **_own(body)}
            self._policies.put(policy_id, record)
            self._permissions.created("cluster-policies", policy_id, caller.user_name)
        return record

    def edit(self, policy_id: str, body: Record, caller: Caller) -> Record:
        """Replace name, definition, description; clusters that exist keep running until they are edited."""
        self._require_admin(caller)
        with self._store.transaction():
            old = self.get(policy_id)
            self.check(body, policy_id)
            kept = {name: old[name] for name in ("policy_id", "creator_user_name", "is_default")}
            self._policies.put(policy_id, kept | _own(body))
        return self.get(policy_id)

    def get(self, policy_id: str) -> Record:
        """The policy; 404 if there is none."""
        found = self._policies.get(policy_id)
        if found is None:
            raise missing(f"Cluster policy {policy_id} does not exist.")
        return found

    def all(self) -> list[Record]:
        """All policies, oldest first."""
        return self._policies.values()

    def delete(self, policy_id: str, caller: Caller) -> None:
        """Remove a policy; its clusters keep their settings."""
        self._require_admin(caller)
        self.get(policy_id)
        self._policies.delete(policy_id)
        self._permissions.deleted("cluster-policies", policy_id)

    def check(self, body: Record, policy_id: str | None = None) -> None:
        """Refuse a missing or taken name, a definition that is no JSON object of known rules, a limit below 1."""
        name = body.get("name")
        if not name or not 1 <= len(name) <= 100:
            raise invalid("Cluster policy name must have between 1 and 100 characters.")
        if any(item["name"] == name and item["policy_id"] != policy_id for item in self.all()):
            raise invalid(f"Policy with name '{name}' already exists")
        if body.get("policy_family_id"):
            raise invalid("policy_family_id is not supported by the local workspace: give a definition.")
        parse(body.get("definition") or "")
        limit = body.get("max_clusters_per_user")
        if limit is not None and limit < 1:
            raise invalid(f"max_clusters_per_user must be at least 1, not {limit}.")

    def apply(self, spec: Record, caller: Caller, owned: int) -> Record:
        """The cluster as its policy wants it, or a refusal. owned: clusters of the caller under this policy already."""
        policy_id = spec.get("policy_id")
        if not policy_id:
            return spec
        policy = self.get(policy_id)
        if not self._permissions.holds("cluster-policies", policy_id, caller, "CAN_USE"):
            raise denied(f"{caller.user_name} is not authorized to use the policy {policy_id}.")
        limit = policy.get("max_clusters_per_user")
        if limit is not None and owned >= limit:
            raise invalid(f"You have reached the limit of {limit} cluster(s) under policy {policy['name']}.")
        return enforce(parse(policy["definition"]), spec)

    def _require_admin(self, caller: Caller) -> None:
        if not caller.admin:
            raise denied(f"{caller.user_name} is not authorized to create or change cluster policies.")


def parse(definition: str) -> dict[str, Record]:
    """Rules by attribute; 400 if the text is no JSON object of rules that Databricks knows."""
    try:
        rules = json.loads(definition)
    except json.JSONDecodeError as problem:
        raise invalid(f"Invalid JSON given in the 'definition' field of the cluster policy: {problem}.") from None
    if not isinstance(rules, dict):
        raise invalid("The definition of a cluster policy must be a JSON object.")
    for path, rule in rules.items():
        head, _, tail = path.partition(".")
        if path not in _ATTRIBUTES and not (head in _MAPS and tail):
            raise invalid(f"Cluster policy: unknown attribute '{path}'.")
        kind = rule.get("type") if isinstance(rule, dict) else None
        if kind not in _NEEDS:
            raise invalid(f"Cluster policy: rule of '{path}' must have a type out of {', '.join(_NEEDS)}.")
        for field in _NEEDS[kind]:
            if field not in rule:
                raise invalid(f"Cluster policy: rule '{kind}' of '{path}' must have '{field}'.")
        if kind == "range" and not {"minValue", "maxValue"} & set(rule):
            raise invalid(f"Cluster policy: rule 'range' of '{path}' must have 'minValue' or 'maxValue'.")
        if kind == "regex":
            try:
                re.compile(rule["pattern"])
            except re.error:
                raise invalid(f"Cluster policy: '{rule['pattern']}' of '{path}' is no regular expression.") from None
    return rules


def enforce(rules: dict[str, Record], spec: Record) -> Record:
    """The cluster with fixed (and, if it asks for them, default) values filled in; 400 for each broken rule."""
    spec = json.loads(json.dumps(spec))
    broken = []
    for path, rule in rules.items():
        if rule["type"] == "fixed" and path not in ("cluster_type", "dbus_per_hour") and _value(spec, path) is None:
            _fill(spec, path, rule["value"])
        elif "defaultValue" in rule and spec.get("apply_policy_default_values") and _value(spec, path) is None:
            _fill(spec, path, rule["defaultValue"])
        if problem := _violation(rule, _value(spec, path)):
            broken.append(f"Validation failed for {path}, {problem}")
    if broken:
        raise invalid(f"Cluster validation error: {'; '.join(broken)}")
    return spec


def _violation(rule: Record, value: Any) -> str | None:  # noqa: PLR0911 (one line a rule)
    kind = rule["type"]
    if kind == "forbidden":
        return None if value is None else f'the value must not be present (is "{_text(value)}")'
    if value is None:
        needed = kind in ("allowlist", "regex", "range", "unlimited") and not rule.get("isOptional")
        return "the value must be present" if needed else None
    shown = f'(is "{_text(value)}")'
    if kind == "fixed" and _text(value) != _text(rule["value"]):
        return f"the value must be {_text(rule['value'])} {shown}"
    if kind == "allowlist" and _text(value) not in map(_text, rule["values"]):
        return f"the value must be one of {', '.join(map(_text, rule['values']))} {shown}"
    if kind == "blocklist" and _text(value) in map(_text, rule["values"]):
        return f"the value must not be one of {', '.join(map(_text, rule['values']))} {shown}"
    if kind == "regex" and not re.fullmatch(rule["pattern"], _text(value)):
        return f"the value must match {rule['pattern']} {shown}"
    if kind == "range":
        number = float(value)
        if number < rule.get("minValue", number):
            return f"the value must be at least {rule['minValue']} {shown}"
        if number > rule.get("maxValue", number):
            return f"the value must be at most {rule['maxValue']} {shown}"
    return None


def _value(spec: Record, path: str) -> Any:
    head, _, tail = path.partition(".")
    if path == "cluster_type":
        return "all-purpose"
    if path == "dbus_per_hour":
        node = NODE_TYPES.get(spec.get("node_type_id", ""))
        # A quarter of a unit for each core: what general purpose sizes cost, near enough for a limit.
        return node and node.cores / 4 * (1 + (spec.get("num_workers") or 0))
    return (spec.get(head) or {}).get(tail) if tail else spec.get(head)


def _fill(spec: Record, path: str, value: Any) -> None:
    head, _, tail = path.partition(".")
    if tail:
        spec[head] = {**(spec.get(head) or {}), tail: _text(value) if head in _MAPS else value}
    else:
        spec[head] = value


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _own(body: Record) -> Record:
    names = ("name", "definition", "description", "max_clusters_per_user", "libraries")
    return {name: body[name] for name in names if body.get(name) is not None}
