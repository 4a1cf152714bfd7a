"""Three students at once, each through up, run, verify and down: the times, and the memory of everything together."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.command import LAB, timed
from benchmarks.common import Outcome, Row, Sizes, tell
from benchmarks.memory import GIGABYTE, Sampler

NAME = "students"
STUDENTS = ("ada", "bob", "eve")
MEMORY_LIMIT = 4.0


def run(sizes: Sizes, state: Path) -> Outcome:
    """One class in one state folder; every student is at the same command at the same time."""
    phases = {"up": ["up"], "run": ["run", "--scale", f"{sizes.scale:g}"], "verify": ["verify"], "down": ["down"]}
    seconds: dict[str, list[float]] = {}
    with Sampler(state) as sampler, ThreadPoolExecutor(len(STUDENTS)) as pool:

        def time_command(arguments: list[str], student: str) -> float:
            return timed([*LAB, *arguments, "--student", student], state, watch=sampler.watch)[0]

        try:
            for phase, arguments in phases.items():
                seconds[phase] = list(pool.map(time_command, [arguments] * len(STUDENTS), STUDENTS))
                tell(NAME, f"{phase}: {max(seconds[phase]):,.1f} s")
        except RuntimeError:
            # Nothing of a failed class may go on running.
            for student in STUDENTS:
                with contextlib.suppress(RuntimeError):
                    time_command(["down"], student)
            raise
    rows = [Row(NAME, f"lab {phase}, the slowest of three", max(each), "s") for phase, each in seconds.items()]
    rows.append(
        Row(
            NAME,
            f"peak memory of all processes together ({sampler.measure})",
            sampler.peak / GIGABYTE,
            "GB",
            limit=MEMORY_LIMIT,
        )
    )
    return Outcome(rows, {"seconds": seconds, "memory_bytes": sampler.peak, "largest": sampler.largest})
