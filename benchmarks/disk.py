"""How fast a live lab fills the disk: the state folder of one student, sampled while all streams run."""

from __future__ import annotations

import contextlib
import subprocess
import time
from pathlib import Path

from benchmarks import ROOT
from benchmarks.command import LAB, environment, timed
from benchmarks.common import Outcome, Row, Sizes, tell

NAME = "disk"
EVERY = 15.0
"""Seconds between two samples."""
MEGABYTE = 10**6
LIMIT = 1_500.0
"""Megabytes after an hour."""


def run(sizes: Sizes, state: Path) -> Outcome:
    """Bring a lab up, let its streams run, and follow the size of the folder from their first minute on."""
    timed([*LAB, "up"], state)
    command = [*LAB, "run", "live"]
    live = subprocess.Popen(
        command, cwd=ROOT, env=environment(state), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    samples: list[tuple[float, float]] = []
    try:
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < sizes.disk_seconds:
            samples.append((elapsed / 60, timed([*LAB, "status"], state)[1]["disk_bytes"] / MEGABYTE))
            tell(NAME, f"{elapsed:,.0f} of {sizes.disk_seconds} s: {samples[-1][1]:,.0f} MB")
            time.sleep(EVERY)
        timed([*LAB, "stop"], state)
        live.wait(120)
    finally:
        live.kill()
        with contextlib.suppress(RuntimeError):
            timed([*LAB, "down"], state)
    third = max(2, len(samples) // 3)
    last = _slope(samples[-third:])
    after_an_hour = samples[-1][1] + max(0.0, last) * max(0.0, 60 - samples[-1][0])
    rows = [
        Row(NAME, "growth in the first third", _slope(samples[:third]), "MB/min"),
        Row(NAME, "growth in the last third", last, "MB/min"),
        Row(NAME, f"state folder after {samples[-1][0]:.0f} minutes", samples[-1][1], "MB"),
        Row(NAME, "after an hour at the last rate", after_an_hour, "MB", limit=LIMIT),
    ]
    return Outcome(rows, {"minutes_and_megabytes": samples})


def _slope(samples: list[tuple[float, float]]) -> float:
    """Megabytes a minute between the first sample and the last."""
    (first, before), (last, after) = samples[0], samples[-1]
    return (after - before) / (last - first) if last > first else 0.0
