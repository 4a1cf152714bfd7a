"""A real Spark with Delta, set up like the lab's local cluster, and an empty container for each test."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from pyspark.sql import SparkSession

import toolchain

CONTAINER = "lab@jobs.dfs.core.windows.net"


def spark_conf(storage: Path) -> dict[str, str]:
    """A small local cluster: abfss on a folder, no processes for file modes, no user interface."""
    checkpoint_manager = "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
    return {
        "spark.master": "local[2]",
        "spark.driver.memory": "1g",
        # The tests' plans are many and small: the optimising compiler would take longer than it saves.
        "spark.driver.extraJavaOptions": (
            "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC -Xmn256m"
        ),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.artifact.isolation.enabled": "false",
        "spark.sql.codegen.cache.maxEntries": "2000",
        "spark.sql.warehouse.dir": str(storage / "warehouse"),
        "spark.jars": ",".join(str(jar) for jar in sorted(toolchain.jars("spark").glob("*.jar"))),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        # Hadoop asks a process of its own for each file's permissions when Spark asks where its blocks are.
        "spark.sql.sources.ignoreDataLocality": "true",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.sql.streaming.checkpointFileManagerClass": checkpoint_manager,
        "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
        "spark.hadoop.fs.abfss.impl": "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme",
        "spark.hadoop.fs.viewfs.overload.scheme.target.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
        f"spark.hadoop.fs.viewfs.mounttable.{CONTAINER}.linkFallback": f"file://{storage}",
    }


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder behind the container of all tests."""
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="session")
def spark_settings(storage: Path) -> dict[str, str]:
    """The settings of the session, for a test that starts a Spark of its own on the same container."""
    return spark_conf(storage)


@pytest.fixture(scope="session")
def spark(spark_settings: dict[str, str]) -> Iterator[SparkSession]:
    """One Spark for all tests of the jobs."""
    os.environ["JAVA_HOME"] = str(toolchain.java().parent.parent)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.appName("tests of the jobs")
    for key, value in spark_settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture
def folder(storage: Path, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder behind `root`, to look at and to damage files."""
    path = storage / tmp_path.name
    path.mkdir()
    return path


@pytest.fixture
def root(folder: Path) -> str:
    """The lab's root for one test: an empty folder of the container."""
    return f"abfss://{CONTAINER}/{folder.name}"


@pytest.fixture
def write_input(folder: Path) -> Callable[[str, list[list[str]]], None]:
    """Write the lines of each file of a source, one file a second, so that a stream reads them in this order."""

    def write(source: str, contents: list[list[str]]) -> None:
        source_folder = folder / "exercises" / "input" / source
        source_folder.mkdir(parents=True, exist_ok=True)
        for number, lines in enumerate(contents):
            file = source_folder / f"part-{number:05}.txt"
            file.write_text("".join(f"{line}\n" for line in lines))
            os.utime(file, (1_700_000_000 + number, 1_700_000_000 + number))

    return write


@pytest.fixture
def rows_of(spark: SparkSession, root: str) -> Callable[..., list[tuple[object, ...]]]:
    """The sorted rows of a table, as tuples of the named columns; times as text in UTC."""

    def read(table: str, *columns: str) -> list[tuple[object, ...]]:
        frame = spark.read.format("delta").load(f"{root}/exercises/tables/{table}")
        texts = [f"cast({name} as string)" if name in ("start", "end") else name for name in columns or frame.columns]
        return sorted((tuple(row) for row in frame.selectExpr(*texts).collect()), key=str)

    return read


@pytest.fixture
def run_task(spark: SparkSession, root: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run a task's entry point as the cluster does: with arguments, in the running session."""

    def run(module: ModuleType, *arguments: str) -> None:
        monkeypatch.setattr("sys.argv", ["streaming_lab", f"--root={root}", *arguments])
        module.main()

    return run
