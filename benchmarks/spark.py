"""A fresh Spark JVM for each measurement, started by the local cluster's own command with its own configuration."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from pyspark import SparkContext
from pyspark.sql import SparkSession
from streaming_lab.session import session

import toolchain
from localcloud.cluster import ClusterSpec, archive, dbruntime, jvm
from localcloud.cluster.conf import java_command, spark_home, write_conf
from localcloud.cluster.gateway import connect
from localcloud.settings import Settings

AUTHORITY = "lab@benchmark.dfs.core.windows.net"
ROOT_URL = f"abfss://{AUTHORITY}"


def settings(state: Path) -> Settings:
    """The local cloud's settings as `lab up` makes them."""
    jars = toolchain.jars
    options = archive.using(toolchain.class_archive())
    return Settings(state, toolchain.java(), jars("spark"), jars("kafka"), Path(sys.executable), driver_options=options)


def storage(state: Path) -> Path:
    """The folder that `ROOT_URL` stands for."""
    folder = state / "storage"
    folder.mkdir(exist_ok=True)
    return folder


def in_fresh_jvm(state: Path, work: Callable[..., Any], *args: Any) -> Any:
    """What `work(spark, *args)` returns, from a new Python process with a new JVM."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_work, state, work, args).result()


def _work(state: Path, work: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    with _benchmark_jvm(state) as (port, secret):
        return work(connected(port, secret), *args)


@contextmanager
def _benchmark_jvm(state: Path) -> Iterator[tuple[int, str]]:
    mounts = {AUTHORITY: storage(state)}
    spec = ClusterSpec("benchmark", os.cpu_count() or 1, {}, {}, mounts, state / "cluster", "", "")
    with running_jvm(settings(state), write_conf(spec), spec.work_dir) as address:
        yield address


def connected(port: int, secret: str) -> SparkSession:
    """The jobs' session in a JVM, by port and secret of its server, with `dbutils` where the jobs take it from."""
    SparkContext(gateway=connect(port, secret))
    spark = session()
    dbruntime.install(spark, {})
    import_module("databricks.sdk.runtime")  # in no measured time
    # It has what it needs; a workspace's client in this process is none on a cluster.
    del sys.modules["dbruntime"]
    return spark


@contextmanager
def running_jvm(settings: Settings, conf_dir: Path, work_dir: Path) -> Iterator[tuple[int, str]]:
    """A JVM as the cluster's driver starts it; port and secret of its server."""
    log_file = work_dir / "driver.log"
    with log_file.open("ab") as log:
        command = java_command(settings, conf_dir, spark_home())
        process = jvm.start(command, spark_home(), conf_dir, work_dir, dict(os.environ), stdout=log, stderr=log)
    try:
        try:
            address = jvm.address(process, work_dir)
        except ChildProcessError as error:
            raise RuntimeError(f"{error}: {log_file.read_text(errors='replace')[-2000:]}") from None
        yield address
    finally:
        process.stdin.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
