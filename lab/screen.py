"""Everything that the command prints: lines with their time at the end, a progress line, tables, errors."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

TEXT_WIDTH = 98


class Screen:
    """Writes for people, or, with `as_json`, nothing but one JSON document on standard output."""

    def __init__(self, *, as_json: bool = False, verbose: bool = False):
        self.as_json = as_json
        self.verbose = verbose
        self._status: Any = None
        self._what = ""
        self._last = ""

    def line(self, what: str, text: str, seconds: float | None = None) -> None:
        """One thing done; `seconds` stand right-aligned at the end."""
        if self.as_json:
            return
        end = "" if seconds is None else f"{seconds:>8.1f} s"
        line = f"{what:<11}{text:<{TEXT_WIDTH}}{end}".rstrip() if end else f"{what:<11}{text}".rstrip()
        self._print(line)

    def now(self, text: str) -> None:
        """What is under way, in one or more lines: replaces the ones before on a terminal; elsewhere shown with -v."""
        if self._status is not None:
            self._status.update(fit(self._what, text, self._status.console.width))
        elif self.verbose and text != self._last:
            self._last = text
            for line in text.splitlines():
                self.line("", line)

    def table(self, what: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table whose numbers are right-aligned; `what` stands before its header."""
        if self.as_json:
            return
        texts = [[_cell(value) for value in row] for row in rows]
        numeric = [all(_is_number(row[at]) for row in rows) for at in range(len(header))]
        widths = [max(len(text) for text in column) for column in zip(header, *texts, strict=True)]
        for at, cells in enumerate([list(header), *texts]):
            padded = [
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(cells, widths, numeric, strict=True)
            ]
            self._print(f"{what if at == 0 else '':<11}{'  '.join(padded)}".rstrip())

    def json(self, value: object) -> None:
        """The document that `--json` asked for."""
        if self.as_json:
            print(json.dumps(value), flush=True)

    def error(self, what: str, message: str, advice: str = "") -> None:
        """What failed and what to do next, on standard error."""
        lines = [f"{'error':<11}{what}: {message}", *(f"{'':<11}{line}" for line in advice.splitlines())]
        print("\n".join(lines), file=sys.stderr, flush=True)

    @contextmanager
    def working(self, what: str) -> Iterator[Stopwatch]:
        """Show a progress line while the block runs (on a terminal); gives the time since its start."""
        watch = Stopwatch()
        if self.as_json or not sys.stdout.isatty():
            yield watch
            return
        from rich.console import Console

        self._what = what
        self._status = Console(highlight=False, markup=False).status(f"{what:<11}…", spinner="dots")
        try:
            with self._status:
                yield watch
        finally:
            self._status = None

    def _print(self, line: str) -> None:
        if self._status is not None:
            self._status.console.print(line, soft_wrap=True)
        else:
            print(line, flush=True)


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Elapsed time in seconds."""
        return time.monotonic() - self._start


def fit(what: str, text: str, width: int) -> str:
    """Progress lines that no terminal of this width wraps: a wrapped line is drawn again each time it changes.

    The spinner takes two columns of the first line.
    """
    from rich.text import Text

    lines = []
    for at, line in enumerate(text.splitlines()):
        cut = Text(f"{what:<11}{line}" if at == 0 else f"{'':<13}{line}")
        cut.truncate(width - 3 if at == 0 else width - 1, overflow="ellipsis")
        lines.append(cut.plain)
    return "\n".join(lines)


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.3f}"
    return str(value)
