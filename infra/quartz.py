"""The syntax of Quartz cron expressions, as Databricks takes them for schedules (quartz-scheduler.org, CronTrigger)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

# Databricks: a schedule's runs are at least 10 s apart.
_SMALLEST_GAP = 10
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()
    special: str | None = None


_FIELDS = (
    _Field("seconds", 0, 59),
    _Field("minutes", 0, 59),
    _Field("hours", 0, 23),
    _Field("day of month", 1, 31, special=r"L|LW|L-([1-9]|[12]\d|30)|([1-9]|[12]\d|3[01])W"),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 1, 7, _WEEKDAYS, rf"L|([1-7]|{'|'.join(_WEEKDAYS)})(L|#[1-5])"),
    _Field("year", 1970, 2099),
)


def problem(expression: str) -> str | None:
    """What is wrong with a Quartz expression, in words; None where nothing is."""
    # Else a line break would pass for a space, and the digits of other scripts for digits.
    if not (expression.isascii() and expression.isprintable()):
        return "it holds more than printable ASCII characters"
    texts = expression.upper().split()
    if len(texts) not in (6, 7):
        return f"it has not 6 or 7 fields but {len(texts)}"
    if (texts[3] == "?") == (texts[5] == "?"):
        return "exactly one of day of month and day of week must be '?'"
    for field, text in zip(_FIELDS, texts, strict=False):
        if text == "?" and field.name.startswith("day"):
            continue
        # Quartz takes L, W and # alone, never in a list.
        if field.special and re.fullmatch(field.special, text):
            continue
        if not all(_values(field, item) for item in text.split(",")):
            return f"its {field.name} field '{text}' is not of Quartz's form from {field.low} to {field.high}"
    seconds = sorted({second % 60 for item in texts[0].split(",") for second in _values(_FIELDS[0], item)})
    if any(later - earlier < _SMALLEST_GAP for earlier, later in pairwise([*seconds, seconds[0] + 60])):
        return f"it fires more often than every {_SMALLEST_GAP} seconds"
    return None


def _values(field: _Field, item: str) -> range:
    """The values of `*`, `a`, `a-b` and each of them with `/step`; empty where the item is none of these."""
    span, slash, step_text = item.partition("/")
    if slash and not (step_text.isdecimal() and 1 <= int(step_text) <= field.high):
        return range(0)
    step = int(step_text) if slash else 1
    if span == "*":
        return range(field.low, field.high + 1, step)
    first_text, dash, last_text = span.partition("-")
    first = _number(field, first_text)
    last = _number(field, last_text) if dash else field.high if slash else first
    if first is None or last is None:
        return range(0)
    if last < first and field.name != "year":  # Quartz lets any other range wrap around, such as FRI-MON.
        last += field.high - field.low + 1
    return range(first, last + 1, step)


def _number(field: _Field, text: str) -> int | None:
    if text in field.words:
        return field.words.index(text) + 1
    if text.isdecimal() and field.low <= int(text) <= field.high:
        return int(text)
    return None
