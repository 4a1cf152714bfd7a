"""What a provider of the local cloud supplies to the engine: resource types, and functions (invokes).

`servicer.py` speaks the engine's protocol and calls these; a resource type knows plain Python values alone:
camelCase properties as the Pulumi program gives them, `UNKNOWN` where a preview can't know the value yet.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from localcloud.providers.schema import Schema
from localcloud.providers.wire import UNKNOWN, Path, Props, property_path

Kind = Literal["add", "update", "delete"]


class ProviderError(Exception):
    """A refusal by the plugin itself, in one sentence; no service was asked."""


@dataclass(frozen=True)
class Session:
    """One configured instance of a provider: an explicit or default provider of one stack.

    config: its plain properties, for example host, subscriptionId; ended: set when its calls must wait no longer.
    """

    config: Props = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event, compare=False)


@dataclass(frozen=True)
class Failure:
    """One wrong input. path: where it is; reason: one clear sentence, which names the rule."""

    path: Path
    reason: str

    @property
    def property(self) -> str:
        """The path as the engine writes it."""
        return property_path(self.path)


@dataclass(frozen=True)
class Check:
    """What the engine asks to check. name: the resource's name in the program; olds: its checked inputs, if it exists.

    seed: random bytes that stay the same between preview and update, for names that the provider makes up.
    """

    name: str
    inputs: Props
    olds: Props
    seed: bytes = b""


@dataclass(frozen=True)
class Change:
    """How one property differs, and whether that needs a new resource."""

    kind: Kind
    replace: bool = False


@dataclass(frozen=True)
class Diff:
    """The differences between two sets of inputs by path; empty: nothing to do."""

    changes: dict[Path, Change] = field(default_factory=dict)
    delete_before_replace: bool = False


class ResourceType(ABC):
    """One type of resource, as the engine sees it.

    token: its Pulumi type; replace_on: paths whose change needs a new resource (`("sku", "name")`; indexes of lists are
    left out); secret_outputs: outputs that are secret in any case. An output whose input was secret is always secret.
    Every method may raise CloudError or ProviderError: the engine then shows its text.
    """

    token: str
    replace_on: frozenset[tuple[str, ...]] = frozenset()
    delete_before_replace: ClassVar[bool] = False
    secret_outputs: ClassVar[frozenset[str]] = frozenset()

    def check(self, session: Session, request: Check) -> tuple[Props, list[Failure]]:
        """The inputs to use from now on (defaults filled in) and what is wrong with them.

        Called only when the schema found nothing wrong. Inputs may hold `UNKNOWN` anywhere.
        """
        return request.inputs, []

    def diff(self, session: Session, id: str, outputs: Props, olds: Props, news: Props) -> Diff:
        """What changes between the checked inputs `olds` and `news`."""
        return Diff(compare(olds, news, self.replace_on), self.delete_before_replace)

    def preview(self, session: Session, inputs: Props, outputs: Props) -> Props:
        """The outputs that are known before a create or update. outputs: the present ones, none before a create."""
        return {**outputs, **inputs}

    @abstractmethod
    def create(self, session: Session, inputs: Props) -> tuple[str, Props]:
        """Make it; returns its id and outputs."""

    @abstractmethod
    def read(self, session: Session, id: str, inputs: Props) -> tuple[Props, Props] | None:
        """The inputs and outputs of what exists now, None if nothing does. inputs: the last known ones, maybe empty."""

    @abstractmethod
    def update(self, session: Session, id: str, outputs: Props, olds: Props, news: Props) -> Props:
        """Change it in place; returns the new outputs."""

    @abstractmethod
    def delete(self, session: Session, id: str, outputs: Props) -> None:
        """Remove it; what is gone already is no error."""


Invoke = Callable[[Session, Props], Props]


class Provider(ABC):
    """A package of resource types and functions."""

    name: str
    version: str
    schema: Schema

    @property
    @abstractmethod
    def resource_types(self) -> Mapping[str, ResourceType]:
        """By token, `package:module:Type` (`databricks:index/job:Job`)."""

    @property
    @abstractmethod
    def invokes(self) -> Mapping[str, Invoke]:
        """Functions by token, `package:module:name`."""

    def check_config(self, inputs: Props) -> tuple[Props, list[Failure]]:
        """As `ResourceType.check`, for the provider's own configuration."""
        return inputs, []


def compare(olds: Any, news: Any, replace_on: Iterable[tuple[str, ...]] = (), path: Path = ()) -> dict[Path, Change]:
    """Where two values differ, down to the single property."""
    if isinstance(olds, dict) and isinstance(news, dict):
        keys = [*olds, *(key for key in news if key not in olds)]
        pairs = [(key, olds.get(key), news.get(key)) for key in keys]
    elif isinstance(olds, list) and isinstance(news, list):
        size = max(len(olds), len(news))
        pad = [*olds, *[None] * (size - len(olds))], [*news, *[None] * (size - len(news))]
        pairs = list(zip(range(size), *pad, strict=True))
    elif olds == news and news is not UNKNOWN:
        return {}
    else:
        kind: Kind = "add" if olds is None else "delete" if news is None else "update"
        return {path: Change(kind, _replaces(path, replace_on))}
    return {
        where: change
        for key, old, new in pairs
        for where, change in compare(old, new, replace_on, (*path, key)).items()
    }


def _replaces(path: Path, replace_on: Iterable[tuple[str, ...]]) -> bool:
    names = tuple(part for part in path if isinstance(part, str))
    # A whole object that comes or goes takes the property below it along.
    return any(names[: len(rule)] == rule or rule[: len(names)] == names for rule in replace_on)
