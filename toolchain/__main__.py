"""`python3 -m toolchain`: install what the lab needs and is missing; one line at the end says what there is."""

from __future__ import annotations

import sys
import time

from toolchain import archive, engine, ivy, jvm, venv
from toolchain.common import ROOT, ToolMissing, cache, locked, say_last


def _versions() -> str:
    release = ".".join(str(part) for part in sys.version_info[:2])
    cli = ".".join(str(part) for part in engine.version(engine.find()) or ())
    spark = next((ROOT / ".venv").glob("lib/python3*/site-packages/pyspark-*.dist-info")).name.split("-")[1]
    kafka = next(jar.version for jar in ivy.locked_jars() if jar.artifact == "kafka_2.13")
    spark = spark.removesuffix(".dist")
    return f"Python {release} · Java {jvm.version(jvm.find())} · Pulumi {cli} · Spark {spark} · Kafka {kafka}"


def main() -> int:
    """Set up; returns the exit code."""
    began = time.monotonic()
    try:
        if sys.version_info < (3, 11):  # noqa: UP036 - this runs before anything could have refused an older one
            raise ToolMissing(f"Python 3.11 or newer is needed, and this is {sys.version.split()[0]}.")
        with locked(cache()), locked(ROOT / ".lab"):
            uv = venv.ensure_uv()
            venv.ensure_venv(uv)
            java = jvm.ensure(uv)
            ivy.ensure(java)
            archive.ensure(java)
            engine.ensure()
        told = _versions()
    except ToolMissing as missing:
        say_last(f"error      set-up: {missing}", sys.stderr)
        return 1
    say_last(f"set-up     {told:<98}{time.monotonic() - began:>8.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
