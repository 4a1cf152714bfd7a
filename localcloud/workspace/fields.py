"""The JSON types of a request's fields."""

from collections.abc import Mapping

from localcloud.workspace.errors import invalid
from localcloud.workspace.shelf import Record

Types = Mapping[str, type]

_WORDS = {str: "a string", int: "a whole number", bool: "true or false", list: "a list", dict: "an object"}


def check(values: Record, types: Types, what: str) -> None:
    """Refuse a field of another type. what: what the fields belong to; values are not told, for they may be secret."""
    for name, kind in types.items():
        value = values.get(name)
        # In Python, but not in JSON, true and false are numbers.
        if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            raise invalid(f"{what} '{name}' must be {_WORDS[kind]}.")
