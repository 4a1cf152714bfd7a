"""What a resource type is made of."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from localcloud.arm.ids import ResourceId
from localcloud.arm.world import Document, World
from localcloud.errors import AzureError


class Kind(ABC):
    """One type of resource and its rules.

    type: its ARM type; tracked: it has a location and tags, and is listed among a group's resources.
    """

    type: ClassVar[str]
    tracked: ClassVar[bool] = False

    @abstractmethod
    def check_name(self, rid: ResourceId) -> None:
        """Raises when the name breaks a rule of the type. Uniqueness is checked in `put`."""

    @abstractmethod
    def put(self, world: World, rid: ResourceId, body: Document, old: Document | None) -> Document:
        """The document to store for a request body; raises for what the service refuses. old: what exists now."""

    def deleting(self, world: World, rid: ResourceId, document: Document, force: bool) -> None:  # noqa: B027
        """What happens beside the removal of the resource and of everything in it."""


def bad_request(message: str) -> AzureError:
    """A refusal whose code is BadRequest, as Event Hubs gives."""
    return AzureError(400, "BadRequest", message)


def whole_number(properties: dict[str, Any], name: str, default: int) -> int:
    """A whole number among properties; a program may have given it as text or as 2.0."""
    value = properties.get(name, default)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.5
    if not number.is_integer():
        raise bad_request(f"The value '{value}' of {name} is not a whole number.")
    return int(number)


def flag(properties: dict[str, Any], name: str, default: bool) -> bool:
    """A boolean among properties; a program may have given it as text."""
    return str(properties.get(name, default)).lower() == "true"
