"""A real Spark with Delta as the local cluster has it, for the tests of the jobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession

from benchmarks.spark import connected, running_jvm, settings
from localcloud.cluster import ClusterSpec
from localcloud.cluster.conf import write_conf

CONTAINER = "lab@jobs.dfs.core.windows.net"


@contextmanager
def running_spark(storage: Path, work_dir: Path) -> Iterator[SparkSession]:
    """A session in a JVM of its own; `storage` is the folder behind the container."""
    conf = {"spark.sql.shuffle.partitions": "2"}
    spec = ClusterSpec("tests of the jobs", 2, conf, {}, {CONTAINER: storage}, work_dir, "", "")
    with running_jvm(settings(work_dir), write_conf(spec), work_dir) as (port, secret):
        spark = connected(port, secret)
        yield spark
        spark.stop()
