"""A round of chaos: start a command, kill one process of the lab on the way, run the same command again, look."""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import psutil

from tests.chaos.victims import Victim, choose, living, orphans
from tests.command import Lab

PATIENCE = 900.0
"""Seconds after which a command counts as hanging."""

EXPECTED = {"up": 6.0, "run": 40.0, "live": 30.0, "verify": 12.0, "down": 6.0}
"""Seconds that each command takes on a quiet machine with 2 cores; replaced by what a round measures."""

LIVE_QUERIES = 3


class ChaosError(Exception):
    """What did not hold, with the output of the command."""


@dataclass(frozen=True)
class Round:
    """A round that held: seconds from the command's start to the kill, and of the command that was run again."""

    phase: str
    part: str
    after: float
    again: float


@dataclass
class Chaos:
    """Rounds on one lab, drawn from one random generator.

    latencies: the factor for `lab up --latencies`
    report: called with each round that held
    """

    lab: Lab
    random: Random
    report: Callable[[Round], None]
    latencies: float = 0.0
    seconds: dict[str, float] = field(default_factory=lambda: dict(EXPECTED))
    kills: dict[str, dict[str, int]] = field(default_factory=dict)

    def cycle(self, scale: float) -> None:
        """Hit `up`, `run`, `run live`, `verify` and `down` with one kill each; raises ChaosError."""
        up = ["up", "--latencies", f"{self.latencies:g}"]
        run = ["run", "--scale", f"{scale:g}"]
        self._round("up", up, lambda: self._complete(up))
        self._round("run", run, lambda: self._proven(run))
        self._round("live", ["run", "live"], self._streams)
        self._round("verify", ["verify"], lambda: self._proven(["verify"]))
        self._round("down", ["down"], self._nothing_left)

    def _round(self, phase: str, command: list[str], again: Callable[[], None]) -> None:
        after = self.random.uniform(0, self.seconds[phase])
        while (victim := self._hit(phase, command, after)) is None:
            # The command was quicker, and nothing of the lab runs any more.
            after /= 2
            self._succeeds(["up"])
        began = time.monotonic()
        again()
        lasted = time.monotonic() - began
        self.seconds[phase] = lasted
        if strays := orphans(self.lab):
            raise ChaosError(f"{phase}: stray processes: {', '.join(map(str, strays))}")
        self.report(Round(phase, victim.part, after, lasted))

    def _hit(self, phase: str, command: list[str], after: float) -> Victim | None:
        """Start the command and kill one process after so many seconds; returns which, or None if there was none."""
        running = self.lab.start(*command)
        began = time.monotonic()
        while time.monotonic() - began < after and running.poll() is None:
            time.sleep(0.05)
        victims = living(self.lab, running.pid)
        victim = choose(victims, self.kills.setdefault(phase, {}), self.random) if victims else None
        if victim is not None:
            victim.kill()
        if phase == "live":
            # It watches a job without an end.
            running.terminate()
        output = self._output(running, command)
        if "Traceback" in output and not (victim and victim.part == "lab command"):
            raise ChaosError(f"{phase}: a traceback after the kill of {victim and victim.part}\n{output}")
        return victim

    def _output(self, running: subprocess.Popen[str], command: list[str]) -> str:
        try:
            return "".join(running.communicate(timeout=PATIENCE))
        except subprocess.TimeoutExpired:
            raise ChaosError(f"lab {' '.join(command)} has not ended after {PATIENCE:.0f} s") from None

    def _succeeds(self, command: list[str]) -> str:
        running = self.lab.start(*command)
        output = self._output(running, command)
        if running.returncode or "Traceback" in output:
            raise ChaosError(f"lab {' '.join(command)} ended with code {running.returncode}\n{output}")
        return output

    def _complete(self, up: list[str]) -> None:
        self._succeeds(up)
        unchanged = self._succeeds(["up"])
        if "0 changed" not in unchanged:
            raise ChaosError(f"a further lab up still changed something\n{unchanged}")

    def _proven(self, command: list[str]) -> None:
        """The command succeeds, and so does the first `lab verify` after it, with three remainders of 0."""
        self._succeeds(command)
        ledger = json.loads(self._succeeds(["verify", "--json"]))
        if [row["remainder"] for row in ledger["exercises"]] != [0, 0, 0]:
            raise ChaosError(f"the numbers differ: {ledger}")

    def _streams(self) -> None:
        """The live job's queries are all active again, and `lab stop` ends the command that watches them."""
        watching = self.lab.start("run", "live")
        try:
            self._await_streams()
            self._succeeds(["stop"])
            output = self._output(watching, ["run", "live"])
        finally:
            if watching.poll() is None:
                watching.kill()
        if watching.returncode or "Traceback" in output:
            raise ChaosError(f"lab run live ended with code {watching.returncode} after lab stop\n{output}")

    def _await_streams(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while len(json.loads(self._succeeds(["streams", "--json"]))["streams"]) < LIVE_QUERIES:
            if time.monotonic() > deadline:
                raise ChaosError(f"fewer than {LIVE_QUERIES} live queries are active after {PATIENCE:.0f} s")
            time.sleep(1)

    def _nothing_left(self) -> None:
        remaining = json.loads(self._succeeds(["down", "--json"]))["leftovers"]
        if remaining:
            raise ChaosError(f"lab down left {remaining}")
        _, alive = psutil.wait_procs(self.lab.processes(), timeout=10)
        if alive:
            raise ChaosError(f"processes outlived lab down: {', '.join(map(str, alive))}")
