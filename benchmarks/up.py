"""`lab up` on the local cloud, beside the same program on providers that do nothing; both from an empty state."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

from benchmarks.command import LAB, timed
from benchmarks.common import Outcome, Row, Sizes, alternate, medians, tell
from benchmarks.noop import serving

NAME = "up"
LIMIT = 1.5


def run(sizes: Sizes, state: Path) -> Outcome:
    """Whole commands: from the start of the process to its end, with the start of the local cloud."""
    resources: dict[str, int] = {}

    def measure(side: str, command: list[str]) -> float:
        # The engine's sockets need a short path.
        folder = Path(mkdtemp(dir=state))
        try:
            seconds, done = timed([*command, "up"], folder)
            resources[side] = done["resources"]
        finally:
            if side == "local cloud":
                timed([*command, "down"], folder)
        return seconds

    with serving() as ports:
        sides: dict[str, Callable[[], float]] = {
            "local cloud": lambda: measure("local cloud", LAB),
            "no cloud": lambda: measure("no cloud", [sys.executable, "-m", "benchmarks.noop", ports]),
        }
        for side, once in sides.items():
            tell(NAME, f"warm-up, {side}: {once():,.2f} s")
        samples = alternate(NAME, sizes.rounds, sides)
    if resources["local cloud"] != resources["no cloud"]:
        raise RuntimeError(f"the two sides did not make the same: {resources}")
    found = medians(samples)
    what = f"lab up / the same on providers that do nothing, {resources['local cloud']} resources"
    return Outcome([Row(NAME, what, found["local cloud"], "s", found["no cloud"], LIMIT)], {"seconds": samples})
