"""`python3 -m toolchain`: install what the lab needs and is missing; one line at the end says what there is."""

from __future__ import annotations

import shutil
import sys
import time

from toolchain import archive, engine, ivy, jvm, venv
from toolchain.common import ROOT, ToolMissing, cache, locked, say_last

# Packages, jars, Java and the Pulumi CLI, and uv's cache of the packages; Go's caches too where the CLI is built.
NEEDED_BYTES = 4_000_000_000


def _ensure_room() -> None:
    """Refuse a disk without room for a first set-up; one that goes on, or finds the cache full, needs less."""
    if venv.VENV.exists() or any(cache().glob("[!.]*")):
        return
    for folder in (cache(), ROOT):
        free = shutil.disk_usage(folder).free
        if free < NEEDED_BYTES:
            raise ToolMissing(
                f"{free / 1e9:.1f} GB are free for {folder}, and a first set-up needs {NEEDED_BYTES / 1e9:.0f} GB. "
                "Free some space, then run it again."
            )


def _versions() -> str:
    cli = ".".join(str(part) for part in engine.version(engine.find()) or ())
    spark = next((ROOT / ".venv").glob("lib/python3*/site-packages/pyspark-*.dist-info")).name.split("-")[1]
    kafka = next(jar.version for jar in ivy.locked_jars() if jar.artifact == "kafka_2.13")
    spark = spark.removesuffix(".dist")
    return f"Python {venv.RELEASE} · Java {jvm.version(jvm.find())} · Pulumi {cli} · Spark {spark} · Kafka {kafka}"


def main() -> int:
    """Set up; returns the exit code."""
    began = time.monotonic()
    try:
        with locked(cache()), locked(ROOT / ".lab"):
            _ensure_room()
            uv = venv.ensure_uv()
            venv.ensure_venv(uv)
            java = jvm.ensure(uv)
            ivy.ensure(java)
            archive.ensure(java)
            engine.ensure()
            engine.link(venv.VENV / "bin")
        told = _versions()
    except ToolMissing as missing:
        say_last(f"error      set-up: {missing}", sys.stderr)
        return 1
    except OSError as refused:
        where = f" for {refused.filename}" if refused.filename else ""
        say_last(f"error      set-up: {refused.strerror}{where}. Put that right, then run it again.", sys.stderr)
        return 1
    except KeyboardInterrupt:
        say_last("error      set-up: interrupted. Run make lab again: it goes on from there.", sys.stderr)
        return 130
    say_last(f"set-up     {told:<98}{time.monotonic() - began:>8.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
