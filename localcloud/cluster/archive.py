"""`python -m localcloud.cluster.archive`: an archive of the classes that a driver loads, for its JVM to map.

Spark loads some 30,000 classes from 250 jars before its first stream is under way. From an archive (class data sharing,
JEP 350) they come parsed and verified. It belongs to one Java and one class path: with any other, the JVM ignores it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from localcloud.cluster.conf import java_command, java_environment, spark_home, write_conf
from localcloud.cluster.spec import ClusterSpec
from localcloud.settings import Settings

_MINUTES = 10

# One small stream of the usual kind: JSON files, a watermark, windows, state, a Delta table. What it loads is archived.
_PROGRAM = """\
import sys
from pyspark.sql import SparkSession, functions as F

spark = SparkSession.builder.getOrCreate()
spark.conf.set("spark.sql.shuffle.partitions", "2")
lines, table, checkpoints = (f"{sys.argv[1]}/{name}" for name in ("lines", "table", "checkpoints"))
time = F.timestamp_seconds("id").alias("time")
spark.range(0, 4000, 1, 4).select(F.to_json(F.struct(time, "id")).alias("value")).write.text(lines)
read = spark.readStream.schema("id long, time timestamp").option("maxFilesPerTrigger", 2).json(lines)
late = read.withWatermark("time", "1 minute")
frames = [
    ("rows", read.where("id % 2 = 0")),
    ("counts", late.groupBy(F.window("time", "1 minute")).count().select("window.start", "count")),
    ("once", late.dropDuplicatesWithinWatermark(["id"])),
]
queries = [
    frame.writeStream.format("delta").option("checkpointLocation", f"{checkpoints}/{name}")
    .trigger(availableNow=True).start(f"{table}/{name}")
    for name, frame in frames
]
for query in queries:
    query.awaitTermination()
rows = spark.read.format("delta").load(f"{table}/rows")
rows.groupBy(F.col("id") % 10).agg(F.count("*"), F.max("time")).collect()
rows.join(rows.select("id"), "id").orderBy("id").limit(5).collect()
spark.stop()
"""


def using(archive: Path) -> tuple[str, ...]:
    """The options of a JVM that maps an archive; without a word when it can't, for then it loads what it needs."""
    return f"-XX:SharedArchiveFile={archive}", "-Xshare:auto", "-Xlog:cds*=off"


def usable(settings: Settings, archive: Path) -> bool:
    """Whether the JVM of a driver with these settings maps the archive, as far as it says."""
    if not archive.is_file():
        return False
    strict = replace(settings, driver_options=(f"-XX:SharedArchiveFile={archive}", "-Xshare:on"))
    *command, _class, _shell = java_command(strict, archive.parent, spark_home())
    return subprocess.run([*command, "-version"], capture_output=True, check=False).returncode == 0


def make(settings: Settings, archive: Path) -> str:
    """Run the program and let its JVM write the archive as it ends; returns what went wrong, or nothing."""
    with tempfile.TemporaryDirectory(prefix="class-archive-", dir=archive.parent) as folder:
        work, part = Path(folder), Path(folder) / "part.jsa"
        spec = ClusterSpec("class-archive", 2, {}, {}, {}, work, "", "")
        script = work / "program.py"
        script.write_text(_PROGRAM, encoding="utf-8")
        options = (f"-XX:ArchiveClassesAtExit={part}", "-Xlog:cds*=off")
        training = replace(settings, driver_options=options)
        conf = write_conf(spec)
        *command, _shell = java_command(training, conf, spark_home())
        try:
            done = subprocess.run(
                [*command, str(script), str(work)],
                cwd=work,
                env={**os.environ, **java_environment(spark_home(), conf)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_MINUTES * 60,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"it took longer than {_MINUTES} minutes"
        if done.returncode or not part.is_file():
            lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip() and " WARN " not in line]
            return lines[-1].strip() if lines else f"exit code {done.returncode}"
        part.replace(archive)
        return ""


def main() -> int:
    """Make the archive unless a usable one is there; exit status 1 when it can't be made."""
    parser = argparse.ArgumentParser(
        prog="python -m localcloud.cluster.archive", description="Archive Spark's classes."
    )
    parser.add_argument("--java", type=Path, required=True, help="java executable, version 17 or 21")
    parser.add_argument("--spark-jars", type=Path, required=True, help="folder of the jars that Spark needs more")
    parser.add_argument("archive", type=Path, help="the file to make")
    given = parser.parse_args()
    archive = given.archive.resolve()
    settings = Settings(archive.parent, given.java, given.spark_jars, given.spark_jars, Path(sys.executable))
    if usable(settings, archive):
        return 0
    problem = make(settings, archive)
    if problem:
        print(f"the class archive was not made: {problem}", file=sys.stderr)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
