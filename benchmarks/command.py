"""The lab command in a state folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import ROOT

LAB = [str(Path(sys.executable).with_name("lab"))]


def environment(state: Path) -> dict[str, str]:
    """This process's environment without settings of another lab, and with this state folder."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PULUMI_", "STREAMING_LAB_"))}
    return env | {"STREAMING_LAB_STATE": str(state)}


def timed(
    command: Sequence[str], state: Path, *, watch: Callable[[int], None] | None = None
) -> tuple[float, dict[str, Any]]:
    """Seconds from the start of a lab command to its end, and the JSON document that it prints.

    watch: is told the command's process id when it has started
    """
    started = time.perf_counter()
    with subprocess.Popen(
        [*command, "--json"],
        cwd=ROOT,
        env=environment(state),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        if watch is not None:
            watch(process.pid)
        told, complaint = process.communicate()
        seconds = time.perf_counter() - started
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with code {process.returncode}: {complaint.strip() or told}")
    return seconds, json.loads(told)
