"""The processes of a lab that a round can kill, by the part they play."""

from contextlib import suppress
from dataclasses import dataclass
from random import Random

import psutil

from tests.command import Lab


@dataclass(frozen=True)
class Victim:
    """A process and its part in the lab."""

    part: str
    process: psutil.Process

    def kill(self) -> None:
        """Kill it as `kill -9` does; it may have ended meanwhile."""
        with suppress(psutil.NoSuchProcess):
            self.process.kill()


def living(lab: Lab, command: int) -> list[Victim]:
    """Every process of the lab now, the `lab` command with this process id and its children included."""
    processes = {process.pid: process for process in lab.processes()}
    with suppress(psutil.NoSuchProcess):
        # Neither the command nor Pulumi names the state folder on its command line.
        root = psutil.Process(command)
        processes |= {process.pid: process for process in [root, *root.children(recursive=True)]}
    victims = []
    for process in processes.values():
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                victims.append(Victim(_part(process, command), process))
    return victims


def choose(victims: list[Victim], kills: dict[str, int], random: Random) -> Victim:
    """One of them, of a part that was killed least often so far; counts it in `kills`."""
    fewest = min(kills.get(victim.part, 0) for victim in victims)
    chosen = random.choice([victim for victim in victims if kills.get(victim.part, 0) == fewest])
    kills[chosen.part] = fewest + 1
    return chosen


def orphans(lab: Lab) -> list[psutil.Process]:
    """Processes of the lab that don't descend from its background process."""
    try:
        background = psutil.Process(lab.endpoint["pid"])
        family = {background.pid, *(child.pid for child in background.children(recursive=True))}
    except (OSError, psutil.NoSuchProcess):
        family = set()
    return [process for process in lab.processes() if process.pid not in family]


def _part(process: psutil.Process, command: int) -> str:
    if process.pid == command:
        return "lab command"
    words = " ".join(process.cmdline())
    if process.name() == "java":
        return "broker" if "kafka.Kafka" in words else "Spark JVM"
    if "localcloud.cluster" in words:
        # Tasks and the gateway are forks of the driver process and show its command line.
        parent = process.parent()
        forked = parent is not None and "localcloud.cluster" in " ".join(parent.cmdline())
        return "task or gateway" if forked else "driver process"
    if "-m localcloud" in words:
        return "background process"
    return process.name()
