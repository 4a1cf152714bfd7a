"""Latencies for rehearsing a class: where somebody asks for it, creations and deletions take as long as on Azure."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from localcloud.arm import Arm, durations
from localcloud.arm.manager import _KINDS
from localcloud.arm.rehearsal import Rehearsal
from localcloud.arm.throttle import Throttle
from localcloud.errors import AzureError
from localcloud.providers.azure_native import AzureNative
from localcloud.providers.base import Session
from localcloud.providers.servicer import ProviderServer
from localcloud.server import LocalCloud
from localcloud.settings import Settings
from localcloud.store import Store

PATIENCE = 20.0
IN_GROUP = {"resourceGroupName": "rg", "location": "westeurope"}
NAMESPACE = {**IN_GROUP, "namespaceName": "ehns-lab"}


@pytest.fixture
def rehearsal(store: Store) -> Rehearsal:
    return Rehearsal(store)


@pytest.fixture
def waits() -> list[float]:
    """The seconds that the provider waited."""
    return []


@pytest.fixture
def make(arm: Arm, rehearsal: Rehearsal, waits: list[float]) -> Callable[[str, dict[str, Any]], Callable[[], None]]:
    """Creates a resource; what it returns deletes it."""
    provider = AzureNative(arm, Throttle(), rehearsal, wait=lambda _, seconds: waits.append(seconds))

    def create(token: str, inputs: dict[str, Any]) -> Callable[[], None]:
        kind = provider.resource_types[f"azure-native:{token}"]
        id, outputs = kind.create(Session(), inputs)
        return lambda: kind.delete(Session(), id, outputs)

    return create


def test_nothing_waits_unless_somebody_asks_for_it(make: Any, group: str, waits: list[float]) -> None:
    make("eventhub:Namespace", NAMESPACE)()
    assert waits == []


def test_a_creation_and_a_deletion_take_as_long_as_on_azure(
    make: Any, group: str, rehearsal: Rehearsal, waits: list[float]
) -> None:
    rehearsal.set_latencies(1)
    delete = make("eventhub:Namespace", NAMESPACE)
    assert waits == [77]
    rehearsal.set_latencies(0.5)
    delete()
    assert waits == [77, 20]


def test_a_group_goes_in_the_time_of_what_takes_longest_in_it(
    make: Any, arm: Arm, rehearsal: Rehearsal, waits: list[float]
) -> None:
    rehearsal.set_latencies(1)
    empty = make("resources:ResourceGroup", {"resourceGroupName": "empty", "location": "westeurope"})
    delete = make("resources:ResourceGroup", IN_GROUP)
    account = {"accountName": "stlab", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    make("storage:StorageAccount", {**IN_GROUP, **account})
    make("eventhub:Namespace", NAMESPACE)
    waits.clear()
    delete()
    empty()
    empty()
    assert waits == [40, 3], "what is gone already takes no time"


def test_every_type_that_the_cloud_offers_has_its_durations() -> None:
    for kind in _KINDS.values():
        assert durations.creation(kind.type) > 0, kind.type
        assert durations.deletion([kind.type]) > 0, kind.type
    assert durations.creation("Microsoft.Network/natGateways") == 0


@pytest.fixture
def connect(
    arm: Arm, rehearsal: Rehearsal
) -> Iterator[tuple[Callable[[], Any], Callable[[], None], list[tuple[threading.Event, bool]], threading.Semaphore]]:
    """Connections to a provider, its end, how each wait ended, and a count of those that began."""
    ended: list[tuple[threading.Event, bool]] = []
    began = threading.Semaphore(0)

    def wait(event: threading.Event, _: float) -> None:
        began.release()
        ended.append((event, event.wait(PATIENCE)))

    server = ProviderServer(AzureNative(arm, Throttle(), rehearsal, wait=wait))
    channels = []

    def open_() -> provider_pb2_grpc.ResourceProviderStub:
        channel = grpc.insecure_channel(f"127.0.0.1:{server.port}", options=[("grpc.use_local_subchannel_pool", 1)])
        channels.append(channel)
        stub = provider_pb2_grpc.ResourceProviderStub(channel)
        stub.Configure(provider_pb2.ConfigureRequest(args=struct_pb2.Struct()))
        return stub

    yield open_, server.stop, ended, began
    for channel in channels:
        channel.close()
    server.stop()


def creating(stub: Any, name: str) -> Any:
    """A creation that is under way."""
    inputs = json_format.ParseDict({**NAMESPACE, "namespaceName": name}, struct_pb2.Struct())
    urn = "urn:pulumi:dev::lab::azure-native:eventhub:Namespace::namespace"
    return stub.Create.future(provider_pb2.CreateRequest(urn=urn, properties=inputs))


def test_who_cancels_waits_no_longer_and_others_wait_on(
    connect: Any, arm: Arm, group: str, rehearsal: Rehearsal
) -> None:
    open_, stop, ended, began = connect
    rehearsal.set_latencies(1)
    mine, theirs = open_(), open_()
    first, second = creating(mine, "ehns-mine"), creating(theirs, "ehns-theirs")
    assert began.acquire(timeout=PATIENCE) and began.acquire(timeout=PATIENCE)
    assert len(arm.namespaces()) == 2, "the work comes before the wait"
    mine.Cancel(empty_pb2.Empty())
    assert first.result(PATIENCE).id.endswith("ehns-mine")
    assert not second.done()
    assert [told for _, told in ended] == [True]
    stop()
    assert [told for _, told in ended] == [True, True], "the end of the cloud wakes everybody"


@pytest.mark.parametrize("factor", [-0.1, 10.5, "1", True, None, float("nan"), [1]])
def test_a_factor_that_makes_no_sense_is_refused(rehearsal: Rehearsal, factor: Any) -> None:
    rehearsal.set_latencies(2)
    with pytest.raises(AzureError, match=r"latencies must be a number from 0 \(off\) to 10, not ") as refused:
        rehearsal.set_latencies(factor)
    assert refused.value.status == 400
    assert rehearsal.latencies == 2


def test_the_factor_is_switched_by_the_tokens_holder_while_the_cloud_runs_and_survives_a_restart(
    settings: Settings, endpoint: Callable[[Settings], dict[str, Any]]
) -> None:
    def door(cloud: LocalCloud) -> httpx.Client:
        return httpx.Client(base_url=endpoint(settings)["arm"], headers={"Authorization": f"Bearer {cloud.token}"})

    with LocalCloud(settings) as cloud, door(cloud) as client:
        assert client.get("/local/rehearsal").json() == {"latencies": 0}
        assert client.put("/local/rehearsal", json={"latencies": 1.5}).json() == {"latencies": 1.5}
        refused = client.put("/local/rehearsal", json={"latencies": 11})
        assert refused.status_code == 400
        assert refused.json()["error"]["message"] == "latencies must be a number from 0 (off) to 10, not 11."
        assert httpx.get(f"{endpoint(settings)['arm']}/local/rehearsal").status_code == 401
    with LocalCloud(settings) as cloud, door(cloud) as client:
        assert client.get("/local/rehearsal").json() == {"latencies": 1.5}
