"""`python -m localcloud --state DIR --java FILE --spark-jars DIR --kafka-jars DIR`: run until told to stop."""

import argparse
import logging
import os
import signal
import sqlite3
import sys
import threading
from pathlib import Path

# Children are started with fork and exec; gRPC's own fork handlers would only get in their way.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")

from localcloud.cluster.archive import using
from localcloud.server import LocalCloud, StartError
from localcloud.settings import Settings


def main() -> int:
    """Exit status 0 after SIGTERM or SIGINT, 1 when the cloud can't start."""
    parser = argparse.ArgumentParser(prog="python -m localcloud", description="Azure and Databricks on this machine.")
    parser.add_argument("--state", type=Path, required=True, help="folder of everything that the cloud remembers")
    parser.add_argument("--java", type=Path, required=True, help="java executable, version 17 or 21")
    parser.add_argument("--spark-jars", type=Path, required=True, help="folder of the jars that Spark needs more")
    parser.add_argument("--kafka-jars", type=Path, required=True, help="folder with the class path of the Kafka broker")
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="interpreter of the Spark drivers")
    parser.add_argument("--driver-memory", default=Settings.driver_memory, help="heap of one Spark driver")
    parser.add_argument("--class-archive", type=Path, help="what `python -m localcloud.cluster.archive` made")
    given = parser.parse_args()
    # What the cloud and its children write is for the person who runs it.
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = Settings(
        state=given.state.resolve(),
        java=given.java,
        spark_jars=given.spark_jars,
        kafka_jars=given.kafka_jars,
        python=given.python,
        driver_memory=given.driver_memory,
        driver_options=using(given.class_archive) if given.class_archive else (),
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        with LocalCloud(settings) as cloud:
            logging.getLogger("localcloud").info("ready")
            while not stop.wait(1.0):
                cloud.keep_up()
    except StartError as error:
        print(f"localcloud: {error}", file=sys.stderr)
        return 1
    except (OSError, sqlite3.Error) as error:
        print(f"localcloud: the state folder {settings.state} can't be used: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
