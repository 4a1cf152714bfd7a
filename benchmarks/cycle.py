"""What `make lab` does after set-up, twice, then verify and down: the time of each, and the memory of all together."""

from __future__ import annotations

import contextlib
from pathlib import Path
from statistics import median

from benchmarks.command import LAB, timed
from benchmarks.common import Outcome, Row, Sizes, tell
from benchmarks.memory import GIGABYTE, Sampler

NAME = "cycle"
MEMORY_LIMIT = 3.0
SECOND_LIMIT = 0.5


def run(sizes: Sizes, state: Path) -> Outcome:
    """Whole cycles, each from an empty state folder; medians of the times, the highest of the peaks."""
    scale = ["--scale", f"{sizes.scale:g}"]
    phases = {
        "up": ["up"],
        "run": ["run", *scale],
        "second up": ["up"],
        "second run": ["run", *scale],
        "verify": ["verify"],
        "down": ["down"],
    }
    seconds: dict[str, list[float]] = {phase: [] for phase in phases}
    samplers: list[Sampler] = []
    for number in range(1, sizes.rounds + 1):
        folder = state / str(number)
        folder.mkdir()
        with Sampler(folder) as sampler:
            try:
                for phase, arguments in phases.items():
                    seconds[phase].append(timed([*LAB, *arguments], folder, watch=sampler.watch)[0])
                    tell(NAME, f"round {number} of {sizes.rounds}, {phase}: {seconds[phase][-1]:,.1f} s")
            except RuntimeError:
                # Nothing of a failed cycle may go on running.
                with contextlib.suppress(RuntimeError):
                    timed([*LAB, "down"], folder)
                raise
        samplers.append(sampler)
    highest = max(samplers, key=lambda sampler: sampler.peak)
    first = median(map(sum, zip(seconds["up"], seconds["run"], strict=True)))
    second = median(map(sum, zip(seconds["second up"], seconds["second run"], strict=True)))
    whole = median(map(sum, zip(*seconds.values(), strict=True)))
    rows = [Row(NAME, f"lab {phase}, scale {sizes.scale:g}", median(each), "s") for phase, each in seconds.items()]
    rows += [
        Row(NAME, "the whole cycle", whole, "s"),
        Row(NAME, "second up and run / first", second, "s", first, SECOND_LIMIT),
        Row(
            NAME,
            f"peak memory of all processes together ({highest.measure})",
            highest.peak / GIGABYTE,
            "GB",
            limit=MEMORY_LIMIT,
        ),
    ]
    memory = [{"peak": each.peak, "peak_rss": each.peak_rss, "largest": each.largest} for each in samplers]
    return Outcome(rows, {"seconds": seconds, "memory_measure": highest.measure, "memory_bytes": memory})
