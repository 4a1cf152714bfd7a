"""A real Spark with Delta, set up like the lab's local cluster, and an empty container for each test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from pyspark.sql import SparkSession

from tests.jobs.cluster import CONTAINER, running_spark


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder behind the container of all tests."""
    return tmp_path_factory.mktemp("storage")


@pytest.fixture(scope="session")
def spark(storage: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """One Spark for all tests of the jobs."""
    with running_spark(storage, tmp_path_factory.mktemp("cluster")) as spark:
        yield spark


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
