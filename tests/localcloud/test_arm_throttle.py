import httpx
import pytest

from localcloud.arm import Arm, http
from localcloud.arm.rehearsal import Rehearsal
from localcloud.arm.throttle import Throttle
from localcloud.errors import AzureError
from localcloud.providers.azure_native import AzureNative
from localcloud.providers.base import Session
from localcloud.store import Store
from localcloud.web import WebServer


class Clock:
    now = 0.0
    slept: tuple[float, ...] = ()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept += (seconds,)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(clock)


def use_up(throttle: Throttle, requests: int = 200) -> None:
    for _ in range(requests):
        throttle.take("write")


def test_two_hundred_writes_pass_and_then_ten_a_second(throttle: Throttle, clock: Clock) -> None:
    use_up(throttle)
    with pytest.raises(AzureError, match="Please try again after '1' seconds") as refused:
        throttle.take("write")
    assert (refused.value.status, refused.value.code) == (429, "SubscriptionRequestsThrottled")
    throttle.take("read")
    clock.now += 1
    use_up(throttle, 10)
    with pytest.raises(AzureError):
        throttle.take("write")
    clock.now += 3600
    use_up(throttle)
    with pytest.raises(AzureError):
        throttle.take("write")


def test_the_rest_api_says_when_to_come_back(arm: Arm, store: Store, group: str, throttle: Throttle) -> None:
    use_up(throttle)
    server = WebServer(http.app(arm, "token", throttle, Rehearsal(store)))
    with httpx.Client(base_url=server.url, headers={"Authorization": "Bearer token"}) as client:
        refused = client.put(group, json={"location": "westeurope"})
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "1"
        assert client.get(group).status_code == 200, "reads have a bucket of their own"
    server.stop()


def test_the_provider_waits_as_told_and_gives_up_after_three_times(
    arm: Arm, store: Store, group: str, throttle: Throttle, clock: Clock
) -> None:
    provider = AzureNative(arm, throttle, Rehearsal(store), clock.sleep)
    groups = provider.resource_types["azure-native:resources:ResourceGroup"]
    use_up(throttle)
    groups.create(Session(), {"resourceGroupName": "rg2", "location": "westeurope"})
    assert clock.slept == (1,)

    use_up(throttle, 9)
    stuck = AzureNative(arm, throttle, Rehearsal(store), lambda _: None)
    with pytest.raises(AzureError, match="Please try again"):
        stuck.resource_types["azure-native:resources:ResourceGroup"].create(
            Session(), {"resourceGroupName": "rg3", "location": "westeurope"}
        )
    assert arm.get(group[:-2] + "rg3") is None
