"""`python -m benchmarks.noop PORTS up`: the lab command with providers that do nothing, on the same engine path.

What the program needs to go on (its own subscription, keys, the workspace's URL) is answered with constants; everything
else comes back as it was sent.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from lab import clouds, main
from lab.project import Project
from lab.report import Report

_PROVIDERS = ("azure-native", "databricks")
_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
_INVOKES: dict[str, dict[str, Any]] = {
    "azure-native:authorization:getClientConfig": {"subscriptionId": _SUBSCRIPTION},
    "azure-native:eventhub:listEventHubKeys": {"primaryConnectionString": "Endpoint=sb://nowhere/"},
    "azure-native:storage:listStorageAccountKeys": {"keys": [{"keyName": "key1", "value": "nothing"}]},
    "databricks:index/getCurrentUser:getCurrentUser": {"userName": "nobody@example.com"},
}
_OUTPUTS: dict[str, dict[str, Any]] = {
    "azure-native:databricks:Workspace": {"workspaceUrl": "adb-0.0.azuredatabricks.net"},
    "azure-native:databricks:AccessConnector": {"identity": {"principalId": _SUBSCRIPTION, "type": "SystemAssigned"}},
}


class Nothing(provider_pb2_grpc.ResourceProviderServicer):
    """A provider that accepts everything and makes nothing."""

    def Attach(self, request: Any, context: Any) -> Any:
        """Nothing to tell the engine."""
        return empty_pb2.Empty()

    Cancel = Attach

    def Handshake(self, request: Any, context: Any) -> Any:
        """As the local cloud answers."""
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        """Any version will do."""
        return plugin_pb2.PluginInfo(version="0.0.0")

    def GetSchema(self, request: Any, context: Any) -> Any:
        """No resources: the program's SDKs carry the schema."""
        return provider_pb2.GetSchemaResponse(schema="{}")

    def Check(self, request: Any, context: Any) -> Any:
        """All inputs are right."""
        return provider_pb2.CheckResponse(inputs=request.news)

    CheckConfig = Check

    def DiffConfig(self, request: Any, context: Any) -> Any:
        """Nothing differs."""
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:
        """As the local cloud answers."""
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Invoke(self, request: Any, context: Any) -> Any:
        """A constant."""
        return provider_pb2.InvokeResponse(**{"return": _struct(_INVOKES[request.tok])})

    def Create(self, request: Any, context: Any) -> Any:
        """The inputs, the name as azure-native gives it back, and what the program reads of this type."""
        token, name = request.urn.split("::")[2].rsplit("$", 1)[-1], request.urn.rsplit("::", 1)[-1]
        outputs = request.properties
        if "name" not in outputs.fields:
            outputs.update({"name": name})
        outputs.MergeFrom(_struct(_OUTPUTS.get(token, {})))
        return provider_pb2.CreateResponse(id=f"/nothing/{name}", properties=outputs)


@contextmanager
def serving() -> Iterator[str]:
    """Serve both providers; their ports by name, as JSON."""
    server = grpc.server(futures.ThreadPoolExecutor(32), options=[("grpc.max_receive_message_length", 400 << 20)])
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Nothing(), server)
    ports = {name: server.add_insecure_port("127.0.0.1:0") for name in _PROVIDERS}
    server.start()
    try:
        yield json.dumps(ports)
    finally:
        server.stop(grace=2).wait()


class NoCloud(clouds.LocalCloud):
    """The local cloud without a background process: its providers are those of `serving`."""

    ports: dict[str, int]

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._endpoint = {"providers": self.ports}

    def prepare(self, report: Report) -> None:
        """Nothing has to start."""


def _struct(value: dict[str, Any]) -> Any:
    return json_format.ParseDict(value, provider_pb2.InvokeRequest().args)


if __name__ == "__main__":
    NoCloud.ports = json.loads(sys.argv.pop(1))
    clouds.LocalCloud = NoCloud
    main.run()
