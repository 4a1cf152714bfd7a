"""What the lab runs on: Java, the Spark and Kafka jars, the Pulumi CLI; where they are and how they get there.

Everything is cached outside the checkout, in `$XDG_CACHE_HOME/azure-streaming-lab`. `python3 -m toolchain` sets it all
up with the standard library alone; the functions here only look things up.
"""

import sys

# Before anything that an older Python could not even read.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(
        "error      set-up: Python 3.11 or newer is needed, and this is "
        + sys.version.split()[0]
        + ".\n           Name another, for example: make lab PYTHON=python3.12"
    )

from toolchain.archive import path as class_archive
from toolchain.common import ToolMissing
from toolchain.engine import find as pulumi
from toolchain.ivy import folder as jars
from toolchain.jvm import find as java

__all__ = ["ToolMissing", "class_archive", "jars", "java", "pulumi"]
