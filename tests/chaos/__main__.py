"""`python -m tests.chaos --seed N`: kill processes of a lab at random moments and expect one more command to mend it.

Run by hand: forty rounds take about an hour. The seed decides the moments and the victims, as far as the machine's
speed allows; a failure keeps the state folder and prints its path.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from tests.chaos.rounds import Chaos, ChaosError, Round
from tests.command import Lab

PHASES = 5
LATENCIES = 0.05
"""A twentieth of Azure's own waiting times, in every second cycle."""


def main() -> int:
    """Run the rounds; returns the exit code."""
    parser = argparse.ArgumentParser(prog="tests.chaos", description="Kill processes of a lab at random moments.")
    parser.add_argument(
        "--seed", type=int, default=int(time.time()), help="of the moments and victims (default: the time)"
    )
    parser.add_argument("--rounds", type=int, default=40, help=f"a multiple of {PHASES}: up, run, live, verify, down")
    options = parser.parse_args()
    if options.rounds < PHASES or options.rounds % PHASES:
        parser.error(f"--rounds must be a positive multiple of {PHASES}")
    held: list[Round] = []

    def report(one: Round) -> None:
        held.append(one)
        print(
            f"{len(held):3d}  {one.phase:<7}{one.part:<20}killed after {one.after:5.1f} s, again {one.again:6.1f} s",
            flush=True,
        )

    state = Path(tempfile.mkdtemp(prefix="chaos-")) / "state"
    print(f"seed {options.seed}, state folder {state}", flush=True)
    chaos = Chaos(Lab(state), Random(options.seed), report)
    try:
        for cycle in range(options.rounds // PHASES):
            chaos.latencies = LATENCIES if cycle % 2 else 0.0
            # Another amount of data each time, so that `run` has work to interrupt.
            chaos.cycle(scale=0.2 + 0.05 * (cycle % 4))
    except ChaosError as error:
        print(f"round {len(held) + 1} (seed {options.seed}) did not hold: {error}\nstate folder: {state}", flush=True)
        return 1
    parts = Counter(one.part for one in held)
    print(f"{len(held)} rounds held: " + ", ".join(f"{part} {times}" for part, times in parts.most_common()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
