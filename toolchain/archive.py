"""The archive of Spark's classes, which the drivers' JVMs map instead of loading them anew; beside the jars in `.venv`.

The lab works without it, only slower: a Java that can't make one is no reason to stop.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from toolchain.common import ROOT, ToolMissing, run, say
from toolchain.environment import own
from toolchain.ivy import folder
from toolchain.venv import VENV


def path() -> Path:
    """Where the archive is, once it is made."""
    return VENV / "spark.jsa"


def ensure(java: Path) -> None:
    """Make the archive unless this Java can use the one that is there."""
    if not path().is_file():
        say("archiving Spark's classes (1 minute)")
    maker: list[str | Path] = [VENV / "bin/python", "-m", "localcloud.cluster.archive"]
    try:
        command = [*maker, "--java", java, "--spark-jars", folder("spark"), path()]
        run(command, "Archiving Spark's classes", cwd=ROOT, inherited=own(os.environ))
    except ToolMissing as problem:
        print(f"set-up     {problem} Spark will start more slowly.", file=sys.stderr)
