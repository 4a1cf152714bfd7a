"""The jars of Spark's Delta and Kafka sources and of the Kafka broker, retrieved with the Ivy that pyspark ships.

`jars.lock` names each jar and its SHA-256; nothing else is retrieved, and nothing unverified is used.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import quoteattr

from toolchain.common import ROOT, ToolMissing, cache, run, say

LOCK = Path(__file__).with_name("jars.lock")
CLASS_PATHS = ("spark", "kafka")


class Jar(NamedTuple):
    """A locked jar: the class path it belongs to, its Maven coordinates, its SHA-256 in hex."""

    class_path: str
    organisation: str
    artifact: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        """Its path below the folder of all jars."""
        return f"{self.class_path}/{self.artifact}-{self.version}.jar"


def locked_jars() -> list[Jar]:
    """The jars that `jars.lock` names."""
    rows = [line.split() for line in LOCK.read_text().splitlines() if line and not line.startswith("#")]
    parts = ((class_path, *coordinates.split(":"), sha256) for class_path, coordinates, sha256 in rows)
    return [Jar._make(part) for part in parts]


def _home() -> Path:
    return cache() / "jars" / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]


def folder(class_path: str) -> Path:
    """The folder of verified jars for a class path ("spark" or "kafka"); raises ToolMissing before set-up."""
    jars = _home() / class_path
    if not jars.is_dir():
        raise ToolMissing(f"The {class_path} jars are not here yet. Run make lab, which fetches them.")
    return jars


def ensure(java: Path) -> None:
    """Retrieve and verify the jars, unless the cache has them; the folder appears whole or not at all."""
    if _home().is_dir():
        return
    say("fetching the Spark and Kafka jars (150 MB)")
    _home().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_home().parent) as scratch:
        work = Path(scratch)
        (work / "ivy.xml").write_text(_ivy_module())
        ivy = next((ROOT / ".venv").glob("lib/python3*/site-packages/pyspark/jars/ivy-*.jar"), None)
        if ivy is None:
            raise ToolMissing("pyspark is not installed in .venv. Remove .venv, then run make lab again.")
        pattern = f"{work}/jars/[conf]/[artifact]-[revision].[ext]"
        run(
            [java, "-jar", ivy, "-ivy", work / "ivy.xml", "-cache", work / "ivy", "-retrieve", pattern],
            "Fetching the jars with Ivy",
        )
        for jar in locked_jars():
            _verify(work / "jars" / jar.file, jar)
        (work / "jars").rename(_home())


def _verify(path: Path, jar: Jar) -> None:
    if not path.is_file():
        raise ToolMissing(f"Ivy did not retrieve {jar.organisation}:{jar.artifact}:{jar.version}. Run it again.")
    if hashlib.sha256(path.read_bytes()).hexdigest() != jar.sha256:
        raise ToolMissing(f"{jar.file} does not have the SHA-256 of {LOCK.name}: it is not the jar that was reviewed.")


def _ivy_module() -> str:
    wanted = "\n".join(
        f"<dependency org={quoteattr(jar.organisation)} name={quoteattr(jar.artifact)} rev={quoteattr(jar.version)} "
        f'conf="{jar.class_path}->master" transitive="false"/>'
        for jar in locked_jars()
    )
    confs = "".join(f'<conf name="{name}"/>' for name in CLASS_PATHS)
    return (
        '<ivy-module version="2.0"><info organisation="streaming-lab" module="jars"/>'
        f"<configurations>{confs}</configurations><dependencies>{wanted}</dependencies></ivy-module>"
    )
