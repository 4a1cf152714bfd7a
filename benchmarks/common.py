"""What every benchmark shares: sizes, alternating rounds, and a row of the table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Sizes:
    """How much each benchmark does.

    rounds: measurements of each side, of which the median counts
    window_events, window_files: input of exercise 2
    original_events, original_files: its smaller input for the original settings, which are slow
    hub_events: events in the topic of exercise 3, about 340 bytes each
    live_rate, live_warm_up, live_seconds: events a second, and for how long before and during the measurement
    scale: of `lab run` in the whole cycle
    disk_seconds: how long the live lab runs whose disk space is followed
    """

    rounds: int
    window_events: int
    window_files: int
    original_events: int
    original_files: int
    hub_events: int
    live_rate: int
    live_warm_up: int
    live_seconds: int
    scale: float
    disk_seconds: int


FULL = Sizes(
    rounds=3,
    window_events=1_000_000,
    window_files=20,
    original_events=12_000,
    original_files=4,
    hub_events=300_000,
    live_rate=1_000,
    live_warm_up=30,
    live_seconds=60,
    scale=1.0,
    disk_seconds=600,
)

SMALL = Sizes(
    rounds=1,
    window_events=8_000,
    window_files=4,
    original_events=4_000,
    original_files=1,
    hub_events=4_000,
    live_rate=200,
    live_warm_up=5,
    live_seconds=5,
    scale=0.05,
    disk_seconds=60,
)
"""Whether the benchmarks run at all; the numbers mean nothing."""


@dataclass(frozen=True)
class Row:
    """One line of the table: a median, what it is compared with, and the limit of the ratio (or of the median).

    limit: the most that is allowed, or the least where `at_least` is true; None where the number is for information
    """

    benchmark: str
    compared: str
    value: float
    unit: str
    reference: float | None = None
    limit: float | None = None
    at_least: bool = False

    @property
    def ratio(self) -> float | None:
        """The median as a multiple of the reference."""
        return self.value / self.reference if self.reference else None

    @property
    def holds(self) -> bool | None:
        """Whether the limit is kept; None where there is none."""
        if self.limit is None:
            return None
        judged = self.value if self.ratio is None else self.ratio
        return judged >= self.limit if self.at_least else judged <= self.limit

    @property
    def verdict(self) -> str:
        """`holds`, `over the limit` or `below the limit`."""
        missed = "below the limit" if self.at_least else "over the limit"
        return {None: "", True: "holds", False: missed}[self.holds]


@dataclass(frozen=True)
class Outcome:
    """What a benchmark found: its rows, and every single measurement behind them."""

    rows: list[Row]
    samples: Mapping[str, Any] = field(default_factory=dict)


def alternate(benchmark: str, rounds: int, sides: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Measure the sides in turn, so that a change in the machine's load meets all of them."""
    samples: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(1, rounds + 1):
        for name, measure in sides.items():
            samples[name].append(measure())
            tell(benchmark, f"round {number} of {rounds}, {name}: {samples[name][-1]:,.2f} s")
    return samples


def medians(samples: Mapping[str, list[float]]) -> dict[str, float]:
    """The median of each side."""
    return {name: median(values) for name, values in samples.items()}


def tell(benchmark: str, text: str) -> None:
    """Show progress, beside the table on stdout."""
    print(f"{benchmark:<11}{text}", file=sys.stderr, flush=True)
