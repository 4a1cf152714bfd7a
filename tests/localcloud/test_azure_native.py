"""The provider at its gRPC door, without an engine: what is secret, unknown, wrong or refused."""

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from localcloud import peers
from localcloud.arm import Arm
from localcloud.arm.rehearsal import Rehearsal
from localcloud.arm.throttle import Throttle
from localcloud.providers.azure_native import AzureNative
from localcloud.providers.servicer import ProviderServer
from localcloud.store import Store

SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
GROUP = "urn:pulumi:dev::lab::azure-native:resources:ResourceGroup::group"
NAMESPACE = "urn:pulumi:dev::lab::lab:infra:EventHubs$azure-native:eventhub:Namespace::namespace"
ROLE = "urn:pulumi:dev::lab::azure-native:authorization:RoleAssignment::role"


def struct(values: dict[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(values, struct_pb2.Struct())


def plain(values: Any) -> dict[str, Any]:
    return json_format.MessageToDict(values)


@pytest.fixture
def connect(arm: Arm, store: Store) -> Iterator[Callable[..., provider_pb2_grpc.ResourceProviderStub]]:
    """Opens a connection of its own, as the engine does for each provider instance, and configures it."""
    server = ProviderServer(AzureNative(arm, Throttle(), Rehearsal(store)))
    channels = []

    def open_(config: dict[str, Any] | None) -> provider_pb2_grpc.ResourceProviderStub:
        # Without this, channels with the same address share one connection.
        channel = grpc.insecure_channel(f"127.0.0.1:{server.port}", options=[("grpc.use_local_subchannel_pool", 1)])
        channels.append(channel)
        stub = provider_pb2_grpc.ResourceProviderStub(channel)
        if config is not None:
            stub.Configure(provider_pb2.ConfigureRequest(args=struct(config)))
        return stub

    yield open_
    for channel in channels:
        channel.close()
    server.stop()


@pytest.fixture
def provider(connect: Callable[..., Any]) -> Any:
    return connect({})


def check(provider: Any, urn: str, news: dict[str, Any], olds: dict[str, Any] | None = None) -> Any:
    request = provider_pb2.CheckRequest(urn=urn, news=struct(news), olds=struct(olds or {}), randomSeed=b"\xab" * 16)
    return provider.Check(request)


def test_secrets_stay_secret_and_unknowns_unknown(provider: Any) -> None:
    tags = {"plain": "a", "hidden": {**SECRET, "value": "b"}, "later": UNKNOWN}
    checked = check(provider, GROUP, {"resourceGroupName": "rg", "location": UNKNOWN, "tags": tags})
    assert not checked.failures
    assert plain(checked.inputs) == {"resourceGroupName": "rg", "location": UNKNOWN, "tags": tags}
    preview = provider.Create(provider_pb2.CreateRequest(urn=GROUP, properties=checked.inputs, preview=True))
    assert plain(preview.properties)["tags"]["value"] == {"plain": "a", "hidden": "b", "later": UNKNOWN}
    assert preview.id == ""


def test_failures_of_check_name_the_property_path(provider: Any) -> None:
    checked = check(provider, NAMESPACE, {"namespaceName": "a", "sku": {"name": "Standard", "capasity": 1}})
    assert {one.property: one.reason for one in checked.failures} == {
        "resourceGroupName": "missing required property 'resourceGroupName'",
        "sku.capasity": "'capasity' is not a property here; did you mean 'capacity'?",
    }


@pytest.mark.parametrize(
    ("inputs", "place", "reason"),
    [
        ({"namespaceName": "a"}, "namespaceName", "The Event Hubs namespace name 'a' is invalid"),
        ({"maximumThroughputUnits": "41"}, "maximumThroughputUnits", "must be at most 40, but is 41"),
        ({"sku": {"name": "Standard", "capacity": -1}}, "sku.capacity", "must be at least 0, but is -1"),
    ],
)
def test_names_and_ranges_are_checked_before_anything_is_created(
    provider: Any, inputs: dict[str, Any], place: str, reason: str
) -> None:
    sound = {"namespaceName": "ehns-lab", "resourceGroupName": "rg", "location": "westeurope"}
    (failure,) = check(provider, NAMESPACE, {**sound, **inputs}).failures
    assert failure.property == place
    assert reason in failure.reason


def test_a_number_or_flag_given_as_text_becomes_one(provider: Any) -> None:
    sound = {"namespaceName": "ehns-lab", "resourceGroupName": "rg", "location": "westeurope"}
    checked = check(provider, NAMESPACE, {**sound, "maximumThroughputUnits": "4", "isAutoInflateEnabled": "false"})
    assert not checked.failures
    assert plain(checked.inputs) == {**sound, "maximumThroughputUnits": 4, "isAutoInflateEnabled": False}


def test_location_comes_from_the_configuration_else_from_the_group(
    connect: Callable[..., Any], arm: Arm, group: str
) -> None:
    inputs = {"namespaceName": "ehns-lab", "resourceGroupName": "rg"}
    configured = check(connect({"location": "northeurope"}), NAMESPACE, inputs)
    assert plain(configured.inputs)["location"] == "northeurope"
    assert plain(check(connect({}), NAMESPACE, inputs).inputs)["location"] == "westeurope"
    unknown = check(connect({}), NAMESPACE, {**inputs, "resourceGroupName": UNKNOWN})
    assert plain(unknown.inputs)["location"] == UNKNOWN
    (failure,) = check(connect({}), NAMESPACE, {**inputs, "resourceGroupName": "other"}).failures
    assert failure.property == "location"


def test_a_name_that_is_not_given_is_made_up_once(provider: Any) -> None:
    inputs = {"resourceGroupName": "rg", "location": "westeurope"}
    name = plain(check(provider, NAMESPACE, inputs).inputs)["namespaceName"]
    assert name == "namespaceabababab"
    again = check(provider, NAMESPACE, inputs, olds={**inputs, "namespaceName": "namespace12345678"})
    assert plain(again.inputs)["namespaceName"] == "namespace12345678"
    role = {"scope": "/subscriptions/s", "principalId": "p", "roleDefinitionId": "r"}
    assert not check(provider, ROLE, role).failures, "the name of a role assignment is a GUID"


def diff(provider: Any, urn: str, olds: dict[str, Any], news: dict[str, Any]) -> Any:
    return provider.Diff(provider_pb2.DiffRequest(urn=urn, id="x", old_inputs=struct(olds), news=struct(news)))


def test_the_plugin_replaces_on_names_and_location_alone(provider: Any) -> None:
    olds = {
        "namespaceName": "ehns-lab",
        "resourceGroupName": "rg",
        "location": "West Europe",
        "sku": {"name": "Standard"},
        "tags": {"a": "1", "b": "2"},
    }
    same = diff(provider, NAMESPACE, olds, {**olds, "location": "westeurope"})
    assert (same.changes, list(same.diffs)) == (provider_pb2.DiffResponse.DIFF_NONE, [])
    changed = diff(provider, NAMESPACE, olds, {**olds, "sku": {"name": "Basic"}, "tags": {"a": "1", "c": "3"}})
    assert list(changed.replaces) == []
    assert {path: one.kind for path, one in changed.detailedDiff.items()} == {
        "sku.name": provider_pb2.PropertyDiff.UPDATE,
        "tags.b": provider_pb2.PropertyDiff.DELETE,
        "tags.c": provider_pb2.PropertyDiff.ADD,
    }
    moved = diff(provider, NAMESPACE, olds, {**olds, "location": "northeurope", "namespaceName": UNKNOWN})
    assert list(moved.replaces) == ["location", "namespaceName"]
    assert moved.deleteBeforeReplace


def create(provider: Any, urn: str, inputs: dict[str, Any]) -> Any:
    return provider.Create(provider_pb2.CreateRequest(urn=urn, properties=struct(inputs)))


def test_what_exists_already_is_not_created_again(provider: Any, arm: Arm, group: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        create(provider, GROUP, {"resourceGroupName": "RG", "location": "westeurope"})
    assert refused.value.details() == f"cannot create already existing resource '{group[:-2]}RG'"


def test_a_refusal_carries_the_services_code_and_text_alone(provider: Any) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        create(provider, NAMESPACE, {"namespaceName": "ehns-lab", "resourceGroupName": "rg", "location": "westeurope"})
    assert refused.value.details() == (
        'Status=404 Code="ResourceGroupNotFound" Message="Resource group \'rg\' could not be found."'
    )


def test_a_fault_tells_neither_its_place_nor_its_values(
    provider: Any, arm: Arm, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("-".join(("a", "secret", "value")))

    monkeypatch.setattr(arm, "get", broken)
    with pytest.raises(grpc.RpcError) as failed:
        create(provider, GROUP, {"resourceGroupName": "rg", "location": "westeurope"})
    assert failed.value.details() == "the local cloud failed (KeyError); its log says where"
    assert "broken" in caplog.text
    assert "a-secret-value" not in caplog.text


def test_a_full_disk_is_told_as_such(provider: Any, arm: Arm, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(arm, "put", full)
    with pytest.raises(grpc.RpcError) as failed:
        create(provider, GROUP, {"resourceGroupName": "rg", "location": "westeurope"})
    assert failed.value.details() == "the local cloud can't write its state: No space left on device"


@pytest.mark.skipif(not peers.TABLES[0].exists(), reason="the kernel does not say whose connections they are")
def test_another_users_connection_is_refused_even_where_a_port_was_ours(
    provider: Any, connect: Callable[..., Any], arm: Arm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getuid", lambda: 4_000_000)
    for use in (
        lambda: connect({}),
        lambda: create(provider, GROUP, {"resourceGroupName": "rg", "location": "westeurope"}),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            use()
        assert "another user's" in refused.value.details()
    assert arm.list_groups() == []


def test_read_finds_drift_and_imports(provider: Any, arm: Arm, group: str) -> None:
    known = {"resourceGroupName": "rg", "location": "West Europe", "tags": {"a": "1"}}
    arm.put(group, {"location": "westeurope", "tags": {"a": "2"}})
    drifted = provider.Read(provider_pb2.ReadRequest(urn=GROUP, id=group, inputs=struct(known)))
    assert plain(drifted.inputs) == {**known, "tags": {"a": "2"}}
    imported = provider.Read(provider_pb2.ReadRequest(urn=GROUP, id=group))
    assert plain(imported.inputs) == {"resourceGroupName": "rg", "location": "westeurope", "tags": {"a": "2"}}
    assert plain(imported.properties)["name"] == "rg"
    arm.delete(group)
    assert provider.Read(provider_pb2.ReadRequest(urn=GROUP, id=group)).id == ""
    provider.Delete(provider_pb2.DeleteRequest(urn=GROUP, id=group))


CONNECTOR = "urn:pulumi:dev::lab::azure-native:databricks:AccessConnector::connector"


def test_a_preview_knows_what_the_service_added_before_but_not_what_it_will_add(provider: Any, group: str) -> None:
    inputs = {
        "connectorName": "dbac",
        "resourceGroupName": "rg",
        "location": "westeurope",
        "identity": {"type": "SystemAssigned"},
    }
    new = provider.Create(provider_pb2.CreateRequest(urn=CONNECTOR, properties=struct(inputs), preview=True))
    assert plain(new.properties)["identity"] == {"type": "SystemAssigned", "principalId": UNKNOWN, "tenantId": UNKNOWN}
    made = create(provider, CONNECTOR, inputs)
    request = provider_pb2.UpdateRequest(
        urn=CONNECTOR,
        id=made.id,
        olds=made.properties,
        old_inputs=struct(inputs),
        news=struct({**inputs, "tags": {"a": "1"}}),
        preview=True,
    )
    after = plain(provider.Update(request).properties)
    assert after["identity"] == plain(made.properties)["identity"]
    assert after["tags"] == {"a": "1"}


def test_a_role_assignment_can_be_imported_by_its_id(provider: Any, arm: Arm, group: str) -> None:
    role = "/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7"
    name = "5d3b1d5c-3b5e-4b43-9a5e-000000000001"
    who = arm.client_config()["objectId"]
    made = create(
        provider, ROLE, {"scope": group, "roleAssignmentName": name, "principalId": who, "roleDefinitionId": role}
    )
    assert made.id == f"{group}/providers/Microsoft.Authorization/roleAssignments/{name}"
    found = plain(provider.Read(provider_pb2.ReadRequest(urn=ROLE, id=made.id)).inputs)
    assert (found["scope"], found["roleAssignmentName"], found["principalId"]) == (group, name, who)


def test_unsupported_types_and_functions_are_named(provider: Any) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        check(provider, GROUP.replace("resources:ResourceGroup", "keyvault:Vault"), {})
    assert refused.value.details() == "the local cloud does not offer resources of type azure-native:keyvault:Vault"
    with pytest.raises(grpc.RpcError) as missing:
        provider.Invoke(provider_pb2.InvokeRequest(tok="azure-native:storage:listStorageAccountSAS"))
    assert "the function azure-native:storage:listStorageAccountSAS" in missing.value.details()


def test_functions_answer_and_refuse(provider: Any, arm: Arm, group: str) -> None:
    who = provider.Invoke(provider_pb2.InvokeRequest(tok="azure-native:authorization:getClientConfig"))
    assert plain(getattr(who, "return")) == arm.client_config()
    args = {"resourceGroupName": "rg", "accountName": "stlab"}
    tok = "azure-native:storage:listStorageAccountKeys"
    with pytest.raises(grpc.RpcError) as missing:
        provider.Invoke(provider_pb2.InvokeRequest(tok=tok, args=struct(args)))
    assert 'Code="ResourceNotFound"' in missing.value.details()
    with pytest.raises(grpc.RpcError) as incomplete:
        provider.Invoke(provider_pb2.InvokeRequest(tok=tok, args=struct({"accountName": "stlab"})))
    assert incomplete.value.details() == "missing required argument 'resourceGroupName'"


def test_each_connection_has_its_own_configuration(connect: Callable[..., Any]) -> None:
    configured, unconfigured = connect({"subscriptionId": "other"}), connect(None)
    inputs = {"resourceGroupName": "rg", "location": "westeurope"}
    with pytest.raises(grpc.RpcError) as other:
        create(configured, GROUP, inputs)
    assert "The subscription 'other' could not be found." in other.value.details()
    with pytest.raises(grpc.RpcError) as early:
        create(unconfigured, GROUP, inputs)
    assert early.value.details() == "the provider azure-native was used before it was configured"
    create(connect({}), GROUP, inputs)
