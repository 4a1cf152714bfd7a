"""Run the program against mocks that answer like Azure and Databricks, and record all that it asks for."""

from __future__ import annotations

import asyncio
import hashlib
import runpy
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulumi.runtime import mocks, rpc
from pulumi.runtime.config import set_all_config
from pulumi.runtime.settings import SETTINGS, set_root_resource
from pulumi.runtime.stack import run_in_stack

SUBSCRIPTION = "0b1f6471-1bf0-4dda-aec3-111122223333"
WORKSPACE_URL = "adb-4711471147114711.11.azuredatabricks.net"
DEPLOYER = "deployer@example.com"
SECRETS = {
    "send": f"Endpoint=sb://mock.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey={'S' * 43}=",
    "listen": f"Endpoint=sb://mock.servicebus.windows.net/;SharedAccessKeyName=listen;SharedAccessKey={'L' * 43}=",
    "storage": "K" * 86 + "==",
}

_GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups"
# Type → (ARM path below the group, the inputs that name it).
_ARM = {
    "eventhub:Namespace": ("Microsoft.EventHub/namespaces/{namespaceName}", "namespaceName"),
    "eventhub:EventHub": ("Microsoft.EventHub/namespaces/{namespaceName}/eventhubs/{eventHubName}", "eventHubName"),
    "eventhub:ConsumerGroup": (
        "Microsoft.EventHub/namespaces/{namespaceName}/eventhubs/{eventHubName}/consumergroups/{consumerGroupName}",
        "consumerGroupName",
    ),
    "eventhub:EventHubAuthorizationRule": (
        "Microsoft.EventHub/namespaces/{namespaceName}/eventhubs/{eventHubName}"
        "/authorizationRules/{authorizationRuleName}",
        "authorizationRuleName",
    ),
    "storage:StorageAccount": ("Microsoft.Storage/storageAccounts/{accountName}", "accountName"),
    "storage:BlobContainer": (
        "Microsoft.Storage/storageAccounts/{accountName}/blobServices/default/containers/{containerName}",
        "containerName",
    ),
    "storage:ManagementPolicy": (
        "Microsoft.Storage/storageAccounts/{accountName}/managementPolicies/{managementPolicyName}",
        "managementPolicyName",
    ),
    "databricks:Workspace": ("Microsoft.Databricks/workspaces/{workspaceName}", "workspaceName"),
    "databricks:AccessConnector": ("Microsoft.Databricks/accessConnectors/{connectorName}", "connectorName"),
}
# Databricks resources whose id is their name.
_NAMED = ("index/storageCredential:StorageCredential", "index/externalLocation:ExternalLocation")
_SCOPED = {
    "authorization:RoleAssignment": "{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}",
    "consumption:Budget": "{scope}/providers/Microsoft.Consumption/budgets/{budgetName}",
}


@dataclass(frozen=True)
class Request:
    """One registration, as the engine gets it.

    inputs: properties with secrets opened; plain: the same with `[secret]` in the place of each secret
    parent, deleted_with, provider: `type::name` of another resource, empty for none
    depends_on: `type::name` of all resources that the inputs and the options depend on
    """

    type: str
    name: str
    inputs: dict[str, Any]
    plain: dict[str, Any]
    parent: str
    provider: str
    deleted_with: str
    depends_on: frozenset[str]
    ignore_changes: tuple[str, ...]
    replace_on_changes: tuple[str, ...]
    retain_on_delete: bool
    delete_before_replace: bool
    custom: bool

    @property
    def key(self) -> str:
        """`type::name`, unique in a stack of this program."""
        return f"{self.type}::{self.name}"

    @property
    def kind(self) -> str:
        """The last part of the type."""
        return self.type.rpartition(":")[2]


@dataclass
class Recording:
    """What one run of the program registered, called and exported."""

    requests: list[Request] = field(default_factory=list)
    calls: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    component_outputs: list[dict[str, Any]] = field(default_factory=list)

    def all(self, kind: str) -> list[Request]:
        """The requests for resources of one kind, such as `Namespace`."""
        return [one for one in self.requests if one.custom and one.kind == kind]

    def one(self, kind: str, name: str | None = None) -> Request:
        """The only request for a kind, and a name where there are several."""
        found = [one for one in self.all(kind) if name in (None, one.name)]
        assert len(found) == 1, f"{kind} {name}: {len(found)} of {sorted(one.key for one in self.requests)}"
        return found[0]

    @property
    def resources(self) -> list[Request]:
        """What a cloud would hold: no components, no providers."""
        return [one for one in self.requests if one.custom and not one.type.startswith("pulumi:providers:")]


def run_program(root: Path, config: Mapping[str, str], *, preview: bool = False) -> Recording:
    """Run `__main__.py` of a checkout as the engine does.

    config: full keys (`streaming-lab:student`) to texts; preview: outputs of resources are unknown, as in a first one
    Raises what the program raises.
    """
    recording = Recording()

    async def run() -> None:
        SETTINGS.outputs = set()  # Else it would wait for those of a program that failed before.
        set_all_config(dict(config))
        monitor = _Monitor(_Azure(recording, preview), recording)
        mocks.set_mocks(monitor.mocks, "streaming-lab", "dev", preview, monitor=monitor)
        set_root_resource(None)  # set_mocks made a stack; the program runs in its own.
        await run_in_stack(lambda: runpy.run_path(str(root / "__main__.py")) and None)

    with asyncio.Runner() as runner:
        # What depends on a failed output fails with it, and nobody asks.
        runner.get_loop().set_exception_handler(lambda _loop, _context: None)
        runner.run(run())
    return recording


class _Azure(mocks.Mocks):
    """Answers as Azure and Databricks do: ids, host names, keys; in a preview, what only a cloud knows is unknown."""

    def __init__(self, recording: Recording, preview: bool) -> None:
        self._recording = recording
        self._preview = preview

    def call(self, args: mocks.MockCallArgs) -> Any:
        self._recording.calls.append((args.token, dict(args.args), args.provider))
        if self._preview and args.token.startswith("databricks:"):
            # The engine's own answer for a provider whose configuration is not known yet.
            return {}
        match args.token:
            case "azure-native:authorization:getClientConfig":
                return {"subscriptionId": SUBSCRIPTION, "tenantId": "t", "objectId": "o", "clientId": "c"}
            case "azure-native:eventhub:listEventHubKeys":
                rule = str(args.args["authorizationRuleName"])
                return {"keyName": rule, "primaryConnectionString": SECRETS[rule]}
            case "azure-native:storage:listStorageAccountKeys":
                return {"keys": [{"keyName": "key1", "permissions": "FULL", "value": SECRETS["storage"]}]}
            case "databricks:index/getCurrentUser:getCurrentUser":
                return {"id": "1", "userName": DEPLOYER, "home": f"/Users/{DEPLOYER}"}
        raise AssertionError(f"{args.token} is not a function that the program may call")

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        inputs, kind = dict(args.inputs), args.typ.partition(":")[2]
        if self._preview or not args.custom:
            return None, inputs
        if args.typ == "azure-native:resources:ResourceGroup":
            return f"{_GROUP}/{inputs['resourceGroupName']}", {**inputs, "name": inputs["resourceGroupName"]}
        if args.typ.startswith("azure-native:") and kind in _ARM:
            path, named = _ARM[kind]
            below = f"{_GROUP}/{inputs['resourceGroupName']}/providers/"
            return below + path.format(**inputs), {**inputs, "name": inputs[named], **_computed(kind)}
        if args.typ.startswith("azure-native:"):
            return _SCOPED[kind].format(**inputs), inputs
        identity = str(inputs.get("name") or inputs.get("path") or inputs.get("userName") or args.name)
        number = str(int(hashlib.sha256(identity.encode()).hexdigest()[:12], 16))
        return identity if kind in _NAMED else number, inputs


def _computed(kind: str) -> dict[str, Any]:
    if kind == "databricks:Workspace":
        return {"workspaceUrl": WORKSPACE_URL, "workspaceId": "4711471147114711", "provisioningState": "Succeeded"}
    if kind == "databricks:AccessConnector":
        return {"identity": {"type": "SystemAssigned", "principalId": "9f9d0d3c-0000-4000-8000-000000000001"}}
    return {}


class _Monitor(mocks.MockMonitor):
    """Keeps each registration whole: the mocks themselves do not see parents, options and secret marks."""

    def __init__(self, azure: _Azure, recording: Recording) -> None:
        super().__init__(azure)
        self._recording = recording
        self._lock = threading.Lock()

    def RegisterResource(self, request: Any) -> Any:
        inputs = rpc.deserialize_properties(request.object, keep_unknowns=True)
        if request.type != "pulumi:pulumi:Stack":
            recorded = Request(
                type=request.type,
                name=request.name,
                inputs=_replaced(inputs, rpc.unwrap_rpc_secret),
                plain=_replaced(inputs, lambda _: "[secret]"),
                parent=_key(request.parent),
                provider=_key(request.provider.rpartition("::")[0]),
                deleted_with=_key(request.deletedWith),
                depends_on=frozenset(map(_key, request.dependencies)),
                ignore_changes=tuple(request.ignoreChanges),
                replace_on_changes=tuple(request.replaceOnChanges),
                retain_on_delete=request.retainOnDelete,
                delete_before_replace=request.deleteBeforeReplace,
                custom=request.custom,
            )
            with self._lock:
                self._recording.requests.append(recorded)
        return super().RegisterResource(request)

    def RegisterResourceOutputs(self, request: Any) -> Any:
        outputs = rpc.deserialize_properties(request.outputs, keep_unknowns=True)
        with self._lock:
            if "::pulumi:pulumi:Stack::" in request.urn:
                self._recording.outputs.update(outputs)
            else:
                self._recording.component_outputs.append(outputs)
        return super().RegisterResourceOutputs(request)


def _key(urn: str) -> str:
    """`type::name` of a URN; empty for the stack and for none."""
    if not urn or "::pulumi:pulumi:Stack::" in urn:
        return ""
    qualified_type, name = urn.split("::")[-2:]
    return f"{qualified_type.rpartition('$')[2]}::{name}"


def _replaced(value: Any, secret: Callable[[Any], Any]) -> Any:
    """The value with each marked secret replaced."""
    if rpc.is_rpc_secret(value):
        return _replaced(secret(value), secret)
    if isinstance(value, Mapping):
        return {key: _replaced(one, secret) for key, one in value.items()}
    if isinstance(value, list):
        return [_replaced(one, secret) for one in value]
    return value
