"""The Spark configuration of a driver, and the command that starts its JVM."""

import os
import re
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from localcloud import java_properties, private
from localcloud.cluster.spec import ClusterSpec
from localcloud.settings import Settings
from localcloud.storage import mount_conf

# Answers only requests that carry a token signed with the key (Spark 4, core, org.apache.spark.ui.JWSFilter).
_UI_FILTER = "org.apache.spark.ui.JWSFilter"

# What a secret's key looks like: Spark's own pattern knows neither storage account keys nor Kafka's JAAS lines.
_REDACTED_KEYS = r"(?i)secret|password|token|access[.]?key|account[.]key|sasl[.]jaas|connection[._-]?string"
_REDACTED_TEXT = r"(?i)(password=\S+|SharedAccessKey=[^;\s]+|ScramLoginModule[^;]*;|PlainLoginModule[^;]*;)"

# JavaModuleOptions of Spark 4.1, without the incubating vector module: it is optional, and small JREs lack it.
_OPENED = [
    "java.lang",
    "java.lang.invoke",
    "java.lang.reflect",
    "java.io",
    "java.net",
    "java.nio",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "jdk.internal.ref",
    "sun.nio.ch",
    "sun.nio.cs",
    "sun.security.action",
    "sun.util.calendar",
]

JVM_OPTIONS = (
    "-XX:+UseSerialGC",
    # The optimising compiler does not earn back its time: a first stream of 20 batches took 82 s of CPU with it, 42 s
    # without.
    "-XX:TieredStopAtLevel=1",
    # Without that compiler a JVM reserves 48 MB for code, and Spark needs more: it compiled methods, threw them out and
    # compiled them again: a run of the lab took 186 s of CPU, 119 s with this.
    "-XX:ReservedCodeCacheSize=240m",
    "-Xmn128m",
)
"""What makes many short plans quick, for any JVM that runs Spark here."""

_LOG4J = """\
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.target = SYSTEM_ERR
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{yyyy-MM-dd HH:mm:ss} %p %c{1}: %m%n%ex{12}
logger.native.name = org.apache.hadoop.util.NativeCodeLoader
logger.native.level = error
logger.connect.name = org.apache.kafka.clients.NetworkClient
logger.connect.level = error
logger.scheduler.name = org.apache.spark.scheduler.DAGScheduler
logger.scheduler.level = error
logger.sink.name = org.apache.spark.sql.execution.streaming.runtime.ResolveWriteToStream
logger.sink.level = error
"""


def spark_conf(spec: ClusterSpec) -> dict[str, str]:
    """The driver's whole configuration: defaults, then the cluster's own, then what this machine needs."""
    work = spec.work_dir
    defaults = {
        "spark.app.name": spec.cluster_id,
        # Databricks clusters live in UTC.
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        # A micro-batch's commit costs more than its rows here: no parallel log reading, no statistics to skip files by.
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.databricks.delta.stats.collect": "false",
        # Asking where a file's blocks are makes Hadoop fork a process for each file, to read its permissions.
        "spark.sql.sources.ignoreDataLocality": "true",
        "spark.ui.showConsoleProgress": "false",
        "spark.ui.retainedJobs": "200",
        "spark.ui.retainedStages": "200",
        "spark.ui.retainedTasks": "5000",
        "spark.sql.ui.retainedExecutions": "100",
        "spark.sql.streaming.stopTimeout": "15s",
        # Several queries at once have more generated classes than the default of 100.
        "spark.sql.codegen.cache.maxEntries": "2000",
        # Delta's log is a few rows here: plans that change while they run cost more than they save.
        "spark.sql.adaptive.enabled": "false",
        # Each session with a class loader of its own would load and compile the same classes again.
        "spark.sql.artifact.isolation.enabled": "false",
    }
    fixed = {
        "spark.master": f"local[{spec.cores}]",
        "spark.submit.deployMode": "client",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        # Other users of the machine reach these ports too. In local mode Spark makes the secret for its RPC by itself.
        "spark.authenticate": "true",
        "spark.ui.enabled": "true",
        "spark.ui.port": "0",
        "spark.ui.killEnabled": "false",
        "spark.ui.filters": _UI_FILTER,
        f"spark.{_UI_FILTER}.param.secretKey": spec.ui_key,
        "spark.local.dir": str(work / "local"),
        "spark.sql.warehouse.dir": str(work / "warehouse"),
        "spark.sql.catalogImplementation": "in-memory",
        "spark.redaction.regex": _REDACTED_KEYS,
        "spark.redaction.string.regex": _REDACTED_TEXT,
        "spark.sql.redaction.string.regex": _REDACTED_TEXT,
        # Hadoop's default local file system forks a process for each checkpoint file.
        "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
        # Hadoop asks for permissions of its own, whatever the process's umask is.
        "spark.hadoop.fs.permissions.umask-mode": "077",
        "spark.sql.streaming.checkpointFileManagerClass": (
            "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
        ),
    }
    return defaults | spec.spark_conf | fixed | mount_conf(spec.mounts)


def write_conf(spec: ClusterSpec) -> Path:
    """Write SPARK_CONF_DIR, readable by its owner alone, for it may hold resolved secrets."""
    folder = spec.work_dir / "conf"
    for each in (spec.work_dir, folder, spec.work_dir / "local"):
        each.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = "".join(
        java_properties.escape(key, r"([\\:=#! ])") + " " + java_properties.escape(value) + "\n"
        for key, value in spark_conf(spec).items()
    )
    for name, content in (("spark-defaults.conf", text), ("log4j2.properties", _LOG4J)):
        private.write(folder / name, content)
    return folder


def spark_home() -> Path:
    """PySpark's folder, which holds Spark itself; raises ModuleNotFoundError where it is not installed."""
    found = find_spec("pyspark")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("pyspark is not installed")
    return Path(found.origin).parent


def java_environment(home: Path, conf_dir: Path) -> dict[str, str]:
    """What the JVM needs in its environment; its Python is the one that asks."""
    return {
        "SPARK_HOME": str(home),
        "SPARK_CONF_DIR": str(conf_dir),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "SPARK_CONNECT_MODE": "0",
        # glibc otherwise keeps a large arena for each of the JVM's threads.
        "MALLOC_ARENA_MAX": "2",
    }


def java_command(settings: Settings, conf_dir: Path, home: Path) -> list[str]:
    """The JVM's command line: SparkSubmit run directly, which spares the launcher's own JVM; it holds no secret."""
    own = {_artifact(jar) for jar in (home / "jars").glob("*.jar")}
    extra = sorted(str(jar) for jar in settings.spark_jars.glob("*.jar") if _artifact(jar) not in own)
    return [
        str(settings.java),
        f"-Xmx{settings.driver_memory}",
        *settings.driver_options,
        *JVM_OPTIONS,
        "-XX:+IgnoreUnrecognizedVMOptions",
        # One thread without memory would leave a driver that answers, and never ends its tasks.
        "-XX:+ExitOnOutOfMemoryError",
        # Not on the class path: there the JVM would look into the folder for each class that it loads.
        f"-Dlog4j2.configurationFile={(conf_dir / 'log4j2.properties').as_uri()}",
        # Killed JVMs leave their native libraries there.
        f"-Djava.io.tmpdir={tempfile.gettempdir()}",
        "-Duser.timezone=UTC",
        "-Djava.net.preferIPv4Stack=true",
        "-Djdk.reflect.useDirectMethodHandle=false",
        "-Dio.netty.tryReflectionSetAccessible=true",
        *[f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED],
        "--enable-native-access=ALL-UNNAMED",
        "-cp",
        os.pathsep.join([str(home / "jars" / "*"), *extra]),
        "org.apache.spark.deploy.SparkSubmit",
        "pyspark-shell",
    ]


def _artifact(jar: Path) -> str:
    """A jar's name without its version: the folders may hold two versions of one library."""
    return re.sub(r"-\d[\w.]*$", "", jar.stem)
