"""Checks inputs against a schema and says what is wrong, with the place and, where it can, the right name.

The schema's form: {"resources": {token: OBJECT}, "types": {name: OBJECT}}, OBJECT = {"properties": {name: SPEC},
"required": [name]}, SPEC = "string" | "integer" | "number" | "boolean" | "any" | {"enum": [value]} | {"array": SPEC} |
{"map": SPEC} | {"type": name}.
"""

import difflib
import functools
import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

from localcloud.providers.wire import UNKNOWN, Path

Spec = str | dict[str, Any]

_PLAIN: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


class Schema:
    """The supported resource types of one package."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.version: str = document["version"]
        self.resources: dict[str, dict[str, Any]] = document["resources"]
        self.types: dict[str, dict[str, Any]] = document["types"]

    def problems(self, token: str, inputs: dict[str, Any]) -> list[tuple[Path, str]]:
        """Path and reason of every wrong, missing or unknown property; `UNKNOWN` values pass."""
        return list(self._object(self.resources[token], inputs, ()))

    def _object(self, spec: dict[str, Any], value: dict[str, Any], path: Path) -> Iterator[tuple[Path, str]]:
        for name in spec["required"]:
            if value.get(name) is None:
                # The wording of azure-native's and the bridge's own check.
                yield (*path, name), f"missing required property '{name}'"
        for name, item in value.items():
            if name not in spec["properties"]:
                near = difflib.get_close_matches(name, spec["properties"], n=1)
                hint = f"; did you mean '{near[0]}'?" if near else ""
                yield (*path, name), f"'{name}' is not a property here{hint}"
            elif item is not None:
                yield from self._value(spec["properties"][name], item, (*path, name))

    def _value(self, spec: Spec, value: Any, path: Path) -> Iterator[tuple[Path, str]]:
        if value is UNKNOWN or spec == "any":
            return
        if isinstance(spec, str):
            if not _fits(spec, value):
                yield path, f"must be of type {spec}, but is {_shown(value)}"
        elif "enum" in spec:
            if value not in spec["enum"]:
                near = difflib.get_close_matches(str(value), [str(one) for one in spec["enum"]], n=1)
                hint = f"; did you mean '{near[0]}'?" if near else ""
                allowed = ", ".join(str(one) for one in spec["enum"])
                yield path, f"must be one of {allowed}, but is {_shown(value)}{hint}"
        elif "array" in spec:
            if not isinstance(value, list):
                yield path, f"must be a list, but is {_shown(value)}"
                return
            for index, item in enumerate(value):
                yield from self._value(spec["array"], item, (*path, index))
        elif not isinstance(value, dict):
            yield path, f"must be an object, but is {_shown(value)}"
        elif "map" in spec:
            for name, item in value.items():
                yield from self._value(spec["map"], item, (*path, name))
        else:
            yield from self._object(self.types[spec["type"]], value, path)


def _fits(spec: str, value: Any) -> bool:
    # The engine sends what a program typed: a number or boolean for a string is converted by the plugins as well.
    if spec == "string":
        return isinstance(value, str | int | float | bool)
    if isinstance(value, bool):
        return spec == "boolean"
    if isinstance(value, str):
        return (spec == "boolean" and value in ("true", "false")) or (spec in ("integer", "number") and _number(value))
    return isinstance(value, _PLAIN[spec])


def _number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdigit()


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return f"'{value}'" if isinstance(value, str) else json.dumps(value)


@functools.cache
def load(package: str) -> Schema:
    """The schema of `azure_native` or `databricks`."""
    text = resources.files(__package__).joinpath(f"{package}.json").read_text(encoding="utf-8")
    return Schema(json.loads(text))
