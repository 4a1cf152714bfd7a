"""Pulumi's property values on the wire: plain Python values, with secrets and unknowns kept apart.

The signatures come from the engine's own protocol (sdk/go/common/resource: SigKey, SecretSig, UnknownStringValue).
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from google.protobuf import json_format, struct_pb2

Props = dict[str, Any]
Path = tuple[str | int, ...]

_UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  a type signature of the protocol, not a secret


class Unknown:
    """A value that a preview can't know yet. `UNKNOWN` is the only one."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


def has_unknown(value: Any) -> bool:
    """Whether the value is or contains `UNKNOWN`."""
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return value is UNKNOWN


def read(struct: struct_pb2.Struct) -> tuple[Props, set[Path]]:
    """Plain values (nulls left out, whole numbers as int, unknowns as `UNKNOWN`) and the paths of what is secret."""
    secrets: set[Path] = set()
    value = _read(json_format.MessageToDict(struct), (), secrets)
    return value, secrets


def _read(value: Any, path: Path, secrets: set[Path]) -> Any:
    if isinstance(value, dict):
        if value.get(_SIGNATURE) == _SECRET:
            secrets.add(path)
            return _read(value.get("value"), path, secrets)
        return {key: _read(item, (*path, key), secrets) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_read(item, (*path, index), secrets) for index, item in enumerate(value)]
    if value == _UNKNOWN:
        return UNKNOWN
    return int(value) if isinstance(value, float) and value.is_integer() else value


def write(values: Mapping[str, Any], secrets: Iterable[Path] = ()) -> struct_pb2.Struct:
    """The protocol's form of plain values; what lies at a path of `secrets` is marked as secret."""
    struct = struct_pb2.Struct()
    json_format.ParseDict(_write(values, (), frozenset(secrets)), struct)
    return struct


def _write(value: Any, path: Path, secrets: frozenset[Path]) -> Any:
    if value is UNKNOWN:
        plain: Any = _UNKNOWN
    elif isinstance(value, Mapping):
        plain = {key: _write(item, (*path, key), secrets) for key, item in value.items() if item is not None}
    elif isinstance(value, list | tuple):
        plain = [_write(item, (*path, index), secrets) for index, item in enumerate(value)]
    else:
        plain = value
    return {_SIGNATURE: _SECRET, "value": plain} if path in secrets else plain


def property_path(path: Path) -> str:
    """`sku.name`, `tasks[0].libraries`, `tags["expires.on"]`: as the engine writes the place of a property."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.replace("_", "a").replace("-", "a").isalnum():
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text
