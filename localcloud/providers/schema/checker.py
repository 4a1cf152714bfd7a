"""Checks inputs against a schema and says what is wrong, with the place and, where it can, the right name.

The schema's form: {"resources": {token: OBJECT}, "types": {name: OBJECT}}, OBJECT = {"properties": {name: SPEC},
"required": [name]}, SPEC = "string" | "integer" | "number" | "boolean" | "any" | {"enum": [value]} | {"array": SPEC} |
{"map": SPEC} | {"type": name}.
"""

import difflib
import functools
import json
import re
from importlib import resources
from typing import Any

from localcloud.providers.wire import UNKNOWN, Path

Spec = str | dict[str, Any]

Problems = list[tuple[Path, str]]


class Schema:
    """The supported resource types of one package."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.version: str = document["version"]
        self.resources: dict[str, dict[str, Any]] = document["resources"]
        self.types: dict[str, dict[str, Any]] = document["types"]

    def check(self, token: str, inputs: dict[str, Any]) -> tuple[dict[str, Any], Problems]:
        """The inputs with every value of its own type, and what is wrong, missing or unknown, by path.

        As the plugins do, a number or flag that was given as text becomes one, and the other way round. `UNKNOWN`
        passes.
        """
        problems: Problems = []
        return self._object(self.resources[token], inputs, (), problems), problems

    def _object(self, spec: dict[str, Any], value: dict[str, Any], path: Path, problems: Problems) -> dict[str, Any]:
        for name in spec["required"]:
            if value.get(name) is None:
                # The wording of azure-native's and the bridge's own check.
                problems.append(((*path, name), f"missing required property '{name}'"))
        checked = dict(value)
        for name, item in value.items():
            if name not in spec["properties"]:
                near = difflib.get_close_matches(name, spec["properties"], n=1)
                hint = f"; did you mean '{near[0]}'?" if near else ""
                problems.append(((*path, name), f"'{name}' is not a property here{hint}"))
            elif item is not None:
                checked[name] = self._value(spec["properties"][name], item, (*path, name), problems)
        return checked

    def _value(self, spec: Spec, value: Any, path: Path, problems: Problems) -> Any:
        if value is UNKNOWN or spec == "any":
            return value
        nested = spec if isinstance(spec, dict) else {}
        if isinstance(value, list) and "array" in nested:
            return [self._value(nested["array"], item, (*path, index), problems) for index, item in enumerate(value)]
        if isinstance(value, dict) and "map" in nested:
            return {name: self._value(nested["map"], item, (*path, name), problems) for name, item in value.items()}
        if isinstance(value, dict) and "type" in nested:
            return self._object(self.types[nested["type"]], value, path, problems)
        converted = _converted(spec, value)
        if converted is None:
            problems.append((path, _reason(spec, value)))
        return converted


def _reason(spec: Spec, value: Any) -> str:
    if isinstance(spec, str):
        return f"must be of type {spec}, but is {_shown(value)}"
    if "enum" not in spec:
        return f"must be {'a list' if 'array' in spec else 'an object'}, but is {_shown(value)}"
    near = difflib.get_close_matches(str(value), [str(one) for one in spec["enum"]], n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"must be one of {', '.join(str(one) for one in spec['enum'])}, but is {_shown(value)}{hint}"


def _converted(spec: Spec, value: Any) -> Any:
    """The value in a plain type, or among those of an enum; None if it can't be."""
    if isinstance(spec, dict):
        return value if value in spec.get("enum", ()) else None
    if isinstance(value, bool):
        # In Python, but not in JSON, true and false are numbers.
        return {"boolean": value, "string": json.dumps(value)}.get(spec)
    if isinstance(value, int | float):
        return {"number": value, "string": str(value), "integer": value if isinstance(value, int) else None}.get(spec)
    return _parsed(spec, value) if isinstance(value, str) else None


def _parsed(spec: str, text: str) -> Any:
    if spec == "string":
        return text
    if spec == "boolean":
        return {"true": True, "false": False}.get(text)
    if re.fullmatch(r"-?[0-9]+", text):
        return int(text)
    return float(text) if spec == "number" and re.fullmatch(r"-?[0-9]+[.][0-9]+", text) else None


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
