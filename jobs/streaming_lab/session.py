"""The Spark session that every task of the lab works in."""

from __future__ import annotations

from pyspark.sql import SparkSession


def session() -> SparkSession:
    """The cluster's session, with as many shuffle partitions as there are cores, and all times in UTC.

    A streaming query keeps one piece of state, one task and a few small files for each shuffle partition, in each
    batch. Spark's default of 200 suits a cluster with hundreds of cores; on the lab's 2 to 4 cores it made exercise 2
    about 20 times slower. The number is fixed in a query's checkpoint by its first batch.
    """
    spark = SparkSession.builder.getOrCreate()
    spark.conf.set("spark.sql.shuffle.partitions", str(spark.sparkContext.defaultParallelism))
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    return spark
