"""Text in Java's `.properties` files."""

import re


def escape(text: str, special: str = r"(\\)") -> str:
    """Text as Java's `Properties.load` reads it back, in any encoding: it takes bytes for Latin-1.

    special: a pattern whose first group gets a backslash; a key needs more of them than a value
    """
    text = re.sub(special, r"\\\1", text).replace("\n", "\\n").replace("\r", "\\r")
    return "".join(char if char.isascii() else _units(char) for char in text)


def _units(char: str) -> str:
    """A character as UTF-16 code units, for `\\u` takes four digits."""
    data = char.encode("utf-16-be")
    return "".join(f"\\u{data[at : at + 2].hex()}" for at in range(0, len(data), 2))
