"""The azure-native provider, on the local Azure Resource Manager."""

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from localcloud.arm import Arm, durations, names
from localcloud.arm.rehearsal import Rehearsal
from localcloud.arm.throttle import Operation, Throttle
from localcloud.errors import AzureError
from localcloud.providers.azure_shape import SHAPES, Shape, group_of, is_group_scoped
from localcloud.providers.base import (
    Check,
    Diff,
    Failure,
    Invoke,
    Provider,
    ProviderError,
    ResourceType,
    Session,
    compare,
)
from localcloud.providers.schema import load
from localcloud.providers.wire import UNKNOWN, Props

_RETRIES = 3

_Answer = TypeVar("_Answer")
# Waits for an event, at most so many seconds.
Wait = Callable[[threading.Event, float], object]


class AzureNative(Provider):
    """The package azure-native."""

    name = "azure-native"

    def __init__(
        self,
        arm: Arm,
        throttle: Throttle,
        rehearsal: Rehearsal,
        sleep: Callable[[float], None] = time.sleep,
        wait: Wait = threading.Event.wait,
    ) -> None:
        self._arm = arm
        self._patience = Patience(throttle, sleep)
        pace = Pace(rehearsal, wait)
        self.schema = load("azure_native")
        self.version = self.schema.version
        self._types = {token: AzureResource(token, shape, arm, self._patience, pace) for token, shape in SHAPES.items()}

    @property
    def resource_types(self) -> Mapping[str, ResourceType]:
        """The types of `azure_shape.SHAPES`."""
        return self._types

    @property
    def invokes(self) -> Mapping[str, Invoke]:
        """Who is signed in, and the two kinds of keys. As with the published plugin the keys are not marked secret."""
        return {
            "azure-native:authorization:getClientConfig": lambda session, args: self._arm.client_config(),
            "azure-native:eventhub:listEventHubKeys": lambda session, args: self._keys(
                session, args, "azure-native:eventhub:EventHubAuthorizationRule"
            ),
            "azure-native:storage:listStorageAccountKeys": lambda session, args: self._keys(
                session, args, "azure-native:storage:StorageAccount"
            ),
        }

    def _keys(self, session: Session, args: Props, token: str) -> Props:
        shape = SHAPES[token]
        for name in shape.path_names:
            if args.get(name) is None:
                raise ProviderError(f"missing required argument '{name}'")
        id = shape.id(args, _subscription(session, self._arm))
        return self._patience.request("write", lambda: self._arm.list_keys(id))


class Patience:
    """Requests that wait when they are throttled, as the published plugin's do (azure/client_azcore.go)."""

    def __init__(self, throttle: Throttle, sleep: Callable[[float], None]) -> None:
        self._throttle = throttle
        self._sleep = sleep

    def request(self, operation: Operation, send: Callable[[], _Answer]) -> _Answer:
        """What `send` returns; raises what it raises, and the refusal when waiting three times did not help."""
        for _ in range(_RETRIES):
            try:
                self._throttle.take(operation)
                return send()
            except AzureError as refusal:
                if refusal.retry_after is None:
                    raise
                self._sleep(refusal.retry_after)
        self._throttle.take(operation)
        return send()


class Pace:
    """Waits as long as Azure takes, where a class is rehearsed."""

    def __init__(self, rehearsal: Rehearsal, wait: Wait) -> None:
        self._rehearsal = rehearsal
        self._wait = wait

    def take(self, session: Session, seconds: float) -> None:
        """Wait so many of Azure's seconds; less if the session ends."""
        if seconds := seconds * self._rehearsal.latencies:
            self._wait(session.ended, seconds)


class AzureResource(ResourceType):
    """One resource type of azure-native."""

    # Names are the program's own, so the old resource must make room (pulumi-azure-native provider.go, Diff).
    delete_before_replace = True

    def __init__(self, token: str, shape: Shape, arm: Arm, patience: Patience, pace: Pace) -> None:
        self.token = token
        self.replace_on = shape.replace_on
        self._shape = shape
        self._arm = arm
        self._request = patience.request
        self._pace = pace
        self._writable = load("azure_native").resources[token]["properties"]

    def check(self, session: Session, request: Check) -> tuple[Props, list[Failure]]:
        """Fills in name and location; then name rules and ranges."""
        inputs = dict(request.inputs)
        own = self._shape.path_names[-1]
        if inputs.get(own) is None:
            inputs[own] = request.olds.get(own) or _made_up_name(request, self._shape.auto)
        subscription = _subscription(session, self._arm)
        if is_group_scoped(self._shape) and inputs.get("location") is None:
            location = self._default_location(session, inputs, subscription)
            if location is None:
                return inputs, [Failure(("location",), "missing required property 'location'")]
            inputs["location"] = location
        failures = [
            failure for path, limits in self._shape.ranges.items() if (failure := _out_of_range(inputs, path, limits))
        ]
        if UNKNOWN not in [inputs[name] for name in self._shape.path_names]:
            try:
                self._arm.check_name(self._shape.id(inputs, subscription))
            except AzureError as error:
                failures.append(Failure((own,), str(error)))
        return inputs, failures

    def _default_location(self, session: Session, inputs: Props, subscription: str) -> Any:
        # The plugin's own order: the provider's configuration, else the group's location.
        if "location" in session.config:
            return session.config["location"]
        if inputs["resourceGroupName"] is UNKNOWN:
            return UNKNOWN
        group = self._arm.get(group_of(inputs, subscription))
        return group["location"] if group else None

    def diff(self, session: Session, id: str, outputs: Props, olds: Props, news: Props) -> Diff:
        """`West Europe` and `westeurope` are the same."""
        changes = compare(_normal(olds), _normal(news), self.replace_on)
        return Diff(changes, self.delete_before_replace)

    def preview(self, session: Session, inputs: Props, outputs: Props) -> Props:
        """The inputs, as far as they come back as outputs, and what the service added before."""
        return self._shape.preview(inputs, outputs)

    def create(self, session: Session, inputs: Props) -> tuple[str, Props]:
        """PUT, unless something has this id already."""
        id = self._shape.id(inputs, _subscription(session, self._arm))
        if self._request("read", lambda: self._arm.get(id)):
            # pulumi-azure-native provider.go, Create.
            raise ProviderError(f"cannot create already existing resource '{id}'")
        document = self._request("write", lambda: self._arm.put(id, self._shape.body(inputs)))
        # After the work: who is killed meanwhile finds the resource, as on Azure.
        self._pace.take(session, durations.creation(document["type"]))
        return document["id"], self._shape.outputs(document)

    def read(self, session: Session, id: str, inputs: Props) -> tuple[Props, Props] | None:
        """GET."""
        document = self._request("read", lambda: self._arm.get(id))
        if document is None:
            return None
        return self._shape.known_inputs(id, inputs, document, self._writable), self._shape.outputs(document)

    def update(self, session: Session, id: str, outputs: Props, olds: Props, news: Props) -> Props:
        """PUT of all properties; the service may refuse what the plugin takes for changeable."""
        self._request("read", lambda: self._arm.require(id))
        return self._shape.outputs(self._request("write", lambda: self._arm.put(id, self._shape.body(news))))

    def delete(self, session: Session, id: str, outputs: Props) -> None:
        """DELETE; a resource or group that is gone already counts as deleted."""
        types = self._arm.types_in(id)
        try:
            self._request("delete", lambda: self._arm.delete(id))
            self._pace.take(session, durations.deletion(types))
        except AzureError as error:
            if error.status != 404:
                raise


def _subscription(session: Session, arm: Arm) -> str:
    return str(session.config.get("subscriptionId") or arm.client_config()["subscriptionId"])


def _made_up_name(request: Check, auto: str) -> str:
    if auto == "uuid":
        return str(uuid.UUID(bytes=request.seed[:16].ljust(16, b"\0"), version=4))
    return request.name + request.seed.hex()[:8] if auto == "random" else request.name


def _out_of_range(inputs: Props, path: tuple[str, ...], limits: tuple[int, int | None]) -> Failure | None:
    value: Any = inputs
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    least, most = limits
    if value < least:
        return Failure(path, f"must be at least {least}, but is {value}")
    if most is not None and value > most:
        return Failure(path, f"must be at most {most}, but is {value}")
    return None


def _normal(inputs: Props) -> Props:
    if isinstance(inputs.get("location"), str):
        return {**inputs, "location": names.location(inputs["location"])}
    return inputs
