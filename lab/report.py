"""How the working functions tell what they do, without knowing whether there is a terminal."""

import sys
from typing import Protocol


class Report(Protocol):
    """Receives what is under way and what is done."""

    def now(self, text: str) -> None:
        """Say what is under way; the next call replaces it."""

    def line(self, what: str, text: str) -> None:
        """Say something that stays: a thing done, or a reason to wait."""


class Aside:
    """A report beside what the command prints for a program: on standard error."""

    def now(self, text: str) -> None:
        """Drop it."""

    def line(self, what: str, text: str) -> None:
        """Say it there."""
        print(f"{what:<11}{text}", file=sys.stderr, flush=True)


class Silent:
    """A report that nobody reads (`--json`, tests)."""

    def now(self, text: str) -> None:
        """Drop it."""

    def line(self, what: str, text: str) -> None:
        """Drop it."""
