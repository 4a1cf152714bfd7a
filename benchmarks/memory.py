"""The memory of all processes of a lab together, sampled while it works."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from pathlib import Path

import psutil

GIGABYTE = 10**9

EVERY = 1.0
"""Seconds between two samples."""

YOUNG = 0.5
"""Seconds; between fork and exec a new process shows its parent's memory as its own, and it would count twice."""


class Sampler(threading.Thread):
    """Samples lab commands, the background process of their state folder, and all that descends from them.

    Pages that processes share (forks of one Python, the jars of two JVMs) count once: as PSS, Linux' proportional set
    size. Where there is no PSS, RSS is added up, which counts them more than once.

    peak: the most so far, in bytes; peak_rss: the same as a sum of RSS; largest: name and bytes of the processes then
    """

    def __init__(self, state: Path) -> None:
        super().__init__(daemon=True)
        self.peak = self.peak_rss = 0
        self.largest: list[tuple[str, int]] = []
        self.measure = "PSS" if hasattr(psutil.Process().memory_full_info(), "pss") else "RSS"
        self._state = state
        self._commands: set[int] = set()
        self._ended = threading.Event()

    def watch(self, command: int) -> None:
        """Count the process of this id, a lab command, as a part of the lab."""
        self._commands.add(command)

    def __enter__(self) -> Sampler:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        """Sample until the end."""
        while not self._ended.wait(EVERY):
            sizes: list[tuple[str, int]] = []
            rss = 0
            for process in self._processes():
                with contextlib.suppress(psutil.Error):
                    if time.time() - process.create_time() < YOUNG:
                        continue
                    info = process.memory_full_info()
                    sizes.append((process.name(), getattr(info, "pss", info.rss)))
                    rss += info.rss
            total = sum(size for _, size in sizes)
            self.peak_rss = max(self.peak_rss, rss)
            if total > self.peak:
                self.peak, self.largest = total, sorted(sizes, key=lambda each: -each[1])

    def _processes(self) -> set[psutil.Process]:
        roots = [*self._commands]
        with contextlib.suppress(OSError, ValueError, KeyError):
            # The background process outlives the command that started it.
            roots.append(json.loads((self._state / "endpoint.json").read_text())["pid"])
        found: set[psutil.Process] = set()
        for root in roots:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(root)
                found |= {process, *process.children(recursive=True)}
        return found
