"""azure-native's resource types: their paths in ARM, and the SDK's flat properties against ARM's bodies.

Paths and names: pulumi-azure-native's schema and azure-rest-api-specs. Replacement: pulumi-azure-native
provider/pkg/gen/replacement.go, which goes by what a PUT can't change according to the specification: path names,
location and a few marked properties. The service refuses more than that.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from localcloud.arm import ids, names
from localcloud.providers.wire import UNKNOWN, Props

_GROUP = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}"
_NAMESPACE = _GROUP + "/providers/Microsoft.EventHub/namespaces/{namespaceName}"
_HUB = _NAMESPACE + "/eventhubs/{eventHubName}"
_ACCOUNT = _GROUP + "/providers/Microsoft.Storage/storageAccounts/{accountName}"

# What a body holds beside `properties`.
_TOP = frozenset(("location", "tags", "sku", "kind", "identity", "extendedLocation", "managedBy", "eTag"))


@dataclass(frozen=True)
class Shape:
    """One resource type.

    path: template of its id; the last place is its name; api_version: the one that the SDK's default version uses;
    nested: its `properties` are not flattened; renamed: SDK name → ARM name; fixed: inputs beside path and location
    whose change replaces it; ranges: numbers that Check holds to a range; auto: how a name that is not given is made:
    from the program's name with random digits, a copy of it, or a GUID;
    computed: parts of inputs that the service adds.
    """

    path: str
    api_version: str
    nested: bool = False
    renamed: dict[str, str] = field(default_factory=dict)
    fixed: frozenset[str] = frozenset()
    ranges: dict[tuple[str, ...], tuple[int, int | None]] = field(default_factory=dict)
    auto: str = "random"
    computed: frozenset[tuple[str, str]] = frozenset()

    @property
    def path_names(self) -> list[str]:
        """The inputs that make up the id, the resource's own name last."""
        return [name for name in re.findall(r"{(\w+)}", self.path) if name != "subscriptionId"]

    @property
    def replace_on(self) -> frozenset[tuple[str, ...]]:
        """Paths of inputs whose change needs a new resource."""
        return frozenset((name,) for name in (*self.path_names, "location", *self.fixed))

    def id(self, inputs: Props, subscription: str) -> str:
        """The ARM id. A scope may be given with or without its first slash."""
        values = {name: str(inputs[name]).strip("/") for name in self.path_names}
        if "scope" in values:
            values["scope"] = f"/{values['scope']}"
        return self.path.format(subscriptionId=subscription, **values)

    def preview(self, inputs: Props, now: Props) -> Props:
        """The outputs that are known before a create or update. Names of parents do not come back as outputs.

        now: the outputs of what exists, empty before a create.
        """
        hidden = set(self.path_names) - {"scope"}
        outputs = {**now, **{name: value for name, value in inputs.items() if name not in hidden}}
        for name, part in self.computed:
            value, before = outputs.get(name), now.get(name)
            if isinstance(value, dict) and part not in value:
                outputs[name] = {**value, part: (before or {}).get(part, UNKNOWN)}
        return outputs

    def body(self, inputs: Props) -> dict[str, Any]:
        """The body of the PUT."""
        top: dict[str, Any] = {}
        properties: dict[str, Any] = {}
        path_names = self.path_names
        for name, value in inputs.items():
            if name in _TOP:
                top[name] = value
            elif name not in path_names:
                properties[self.renamed.get(name, name)] = value
        return {**top, "properties": properties}

    def outputs(self, document: dict[str, Any]) -> Props:
        """The SDK's outputs for what ARM returns."""
        back = {arm: sdk for sdk, arm in self.renamed.items()}
        rest = {name: value for name, value in document.items() if name not in ("properties", "id")}
        properties = {back.get(name, name): value for name, value in document.get("properties", {}).items()}
        flat = {"properties": properties} if self.nested and properties else {} if self.nested else properties
        return {**rest, **flat, "azureApiVersion": self.api_version}

    def known_inputs(self, id: str, known: Props, document: dict[str, Any], writable: Collection[str]) -> Props:
        """The inputs that would give what exists now, in the terms of the known ones.

        If none are known, as in an import: all that are `writable`.
        """
        outputs = self.outputs(document)
        places = self._places(id)
        if not known:
            return {**{name: value for name, value in outputs.items() if name in writable}, **places}
        return {
            name: value if name in places else _project(value, outputs.get(name), name) for name, value in known.items()
        }

    def _places(self, id: str) -> Props:
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(self.path))
        match = re.fullmatch(pattern, id, re.IGNORECASE)
        places = match.groupdict() if match else {}
        places.pop("subscriptionId", None)
        return places


def _project(known: Any, now: Any, name: str) -> Any:
    """`now`, without what the service added to the parts that `known` gives."""
    if name == "location" and isinstance(now, str) and names.location(str(known)) == now:
        return known
    if isinstance(known, dict) and isinstance(now, dict) and name != "tags":
        return {key: _project(value, now[key], key) for key, value in known.items() if key in now}
    return now


_EXTENSION = "{scope}/providers/"
_PRINCIPAL = frozenset((("identity", "principalId"), ("identity", "tenantId")))

SHAPES = {
    "azure-native:resources:ResourceGroup": Shape(_GROUP, "2024-03-01", nested=True),
    "azure-native:eventhub:Namespace": Shape(
        _NAMESPACE, "2024-01-01", ranges={("maximumThroughputUnits",): (0, 40), ("sku", "capacity"): (0, None)}
    ),
    "azure-native:eventhub:EventHub": Shape(
        _HUB, "2024-01-01", ranges={("partitionCount",): (1, None), ("messageRetentionInDays",): (1, None)}, auto="copy"
    ),
    "azure-native:eventhub:ConsumerGroup": Shape(
        _HUB + "/consumergroups/{consumerGroupName}", "2024-01-01", auto="copy"
    ),
    "azure-native:eventhub:EventHubAuthorizationRule": Shape(
        _HUB + "/authorizationRules/{authorizationRuleName}", "2024-01-01", auto="copy"
    ),
    "azure-native:storage:StorageAccount": Shape(
        _ACCOUNT,
        "2024-01-01",
        renamed={
            "enableHttpsTrafficOnly": "supportsHttpsTrafficOnly",
            "networkRuleSet": "networkAcls",
            "enableNfsV3": "isNfsV3Enabled",
        },
        fixed=frozenset(("isHnsEnabled",)),
        computed=_PRINCIPAL | {("sku", "tier")},
    ),
    "azure-native:storage:BlobContainer": Shape(
        _ACCOUNT + "/blobServices/default/containers/{containerName}", "2024-01-01", auto="copy"
    ),
    "azure-native:storage:ManagementPolicy": Shape(
        _ACCOUNT + "/managementPolicies/{managementPolicyName}", "2024-01-01", auto="copy"
    ),
    "azure-native:databricks:Workspace": Shape(
        _GROUP + "/providers/Microsoft.Databricks/workspaces/{workspaceName}",
        "2026-01-01",
        computed=frozenset((("parameters", "storageAccountName"),)),
    ),
    "azure-native:databricks:AccessConnector": Shape(
        _GROUP + "/providers/Microsoft.Databricks/accessConnectors/{connectorName}",
        "2026-01-01",
        nested=True,
        computed=_PRINCIPAL,
    ),
    "azure-native:authorization:RoleAssignment": Shape(
        _EXTENSION + "Microsoft.Authorization/roleAssignments/{roleAssignmentName}",
        "2022-04-01",
        fixed=frozenset(("principalId",)),
        auto="uuid",
    ),
    "azure-native:consumption:Budget": Shape(
        _EXTENSION + "Microsoft.Consumption/budgets/{budgetName}", "2024-08-01", auto="copy"
    ),
}


def is_group_scoped(shape: Shape) -> bool:
    """Whether the resource lies in a resource group that its inputs name, and has a location of its own."""
    return shape.path.startswith(_GROUP) and shape.path.count("{") == 3


def group_of(inputs: Props, subscription: str) -> str:
    """The id of the resource group that the inputs name."""
    return ids.group_id(subscription, str(inputs["resourceGroupName"]))
