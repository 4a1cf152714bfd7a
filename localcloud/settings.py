"""Where the local cloud keeps its state and which tools of this machine it uses."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Paths and limits that every room of the local cloud shares.

    state: folder of this cloud alone, created with mode 0700
    java: the `java` executable, version 17 or 21
    spark_jars: folder of the jars that Spark needs beside its own (Delta, Kafka source)
    kafka_jars: folder with the broker's class path
    python: interpreter of the cluster's driver
    driver_memory: heap of one driver, in the JVM's notation
    driver_options: more options of a driver's JVM
    """

    state: Path
    java: Path
    spark_jars: Path
    kafka_jars: Path
    python: Path
    driver_memory: str = "768m"
    driver_options: tuple[str, ...] = ()
