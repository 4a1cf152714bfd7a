"""One task's Python process: a fork of the driver process with its own session of the shared Spark context."""

import importlib
import importlib.metadata
import json
import os
import signal
import sys
import time
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from typing import IO, Any

from localcloud import private
from localcloud.cluster import dbruntime, failures, notebook, redaction
from localcloud.cluster.gateway import connect


class TaskError(Exception):
    """A task that cannot begin: its wheel, its entry point or its libraries are not there."""


def run(start: dict[str, Any], task: dict[str, Any], port: int, secret: str, file: IO[bytes]) -> None:
    """Run the task and write its result, a JSON object, to ``file``."""
    _log_to(Path(task["log"]))
    signal.signal(signal.SIGTERM, _canceler(None))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    result = {"outcome": "SUCCESS", "error": "", "trace": ""}
    try:
        os.environ.update({"TZ": "UTC"} | start["env"])
        os.environ.update({"DATABRICKS_HOST": start["host"], "DATABRICKS_TOKEN": start["token"]})
        time.tzset()
        libraries = [_unpacked(Path(wheel), Path(start["work_dir"]) / "libraries") for wheel in task["wheels"]]
        sys.path[:0] = libraries
        importlib.invalidate_caches()
        spark = _session(port, secret, libraries, start["ui_url"])
        signal.signal(signal.SIGTERM, _canceler(spark))
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the context of PySpark would cancel every task's jobs on it
        names = dbruntime.install(spark, task["widgets"])
        if task["notebook"] is not None:
            with redaction.in_output():
                notebook.run(task["notebook"], names)
        else:
            sys.argv = [task["package_name"], *task["parameters"]]
            _entry_point(task["package_name"], task["entry_point"], libraries)()
    except SystemExit as end:
        if end.code not in (None, 0):
            result = {"outcome": "FAILED", "error": failures.describe(end), "trace": failures.trace(end)}
    except TaskError as error:
        result = {"outcome": "FAILED", "error": str(error), "trace": ""}
    except BaseException as error:
        result = {"outcome": "FAILED", "error": failures.describe(error), "trace": failures.trace(error)}
    if result["outcome"] == "FAILED":
        print(result["trace"] or result["error"], file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    file.write(json.dumps(result).encode())
    file.flush()


def _canceler(spark: Any) -> Callable[[int, object], None]:
    """A signal handler that ends the main thread as ``sys.exit`` does, so that ``finally`` still runs."""

    def cancel(_signal: int, _frame: object) -> None:
        if spark is not None:
            # The interrupted call's answer is still to come on this thread's connection: the next call needs another.
            spark.sparkContext._gateway._gateway_client.thread_connection.connection = None
        raise SystemExit("The task was canceled.")

    return cancel


def _log_to(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    log = private.opener(str(path), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for fd in (1, 2):
        os.dup2(log, fd)
    os.close(log)
    sys.stdout = open(1, "w", encoding="utf-8", errors="replace", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="replace", buffering=1, closefd=False)  # noqa: SIM115


def _session(port: int, secret: str, libraries: list[str], ui_url: str) -> Any:
    """This task's session, as the one that ``SparkSession.builder.getOrCreate()`` finds.

    ui_url: where people open the Spark UI; its own port answers the workspace's proxy alone
    """
    from pyspark import SparkConf, SparkContext
    from pyspark.sql import SparkSession

    gateway = connect(port, secret)
    jsession = gateway.jvm.org.apache.spark.sql.classic.SparkSession.getActiveSession().get()
    jsc = gateway.jvm.org.apache.spark.api.java.JavaSparkContext(jsession.sparkContext())
    context = SparkContext(gateway=gateway, jsc=jsc, conf=SparkConf(_jconf=jsc.getConf()))
    # Python workers of this task find its libraries; another task's workers are others, for their environment differs.
    context.environment["PYTHONPATH"] = os.pathsep.join(libraries)
    session = SparkSession(context, jsession)
    SparkSession._instantiatedSession = session

    def stop(_self: Any) -> None:
        print("stop() is ignored: the Spark context belongs to the cluster, and ends with it")

    SparkSession.stop = SparkContext.stop = stop  # type: ignore[method-assign, assignment]
    if ui_url:
        SparkContext.uiWebUrl = property(lambda _self: ui_url)  # type: ignore[assignment, method-assign]
    return session


def _unpacked(wheel: Path, folder: Path) -> str:
    """A folder with the wheel's content, made once for each version of the file."""
    if not wheel.is_file():
        raise TaskError(
            "Library installation failed for library due to user error. "
            f"Error messages: the wheel {wheel.name} does not exist in the workspace."
        )
    status = wheel.stat()
    mark = sha256(f"{wheel}:{status.st_mtime_ns}:{status.st_size}".encode()).hexdigest()[:12]
    target = folder / f"{wheel.stem}-{mark}"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = Path(mkdtemp(dir=folder, prefix=".part-"))
        try:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(part)
        except zipfile.BadZipFile:
            raise TaskError(
                "Library installation failed for library due to user error. "
                f"Error messages: {wheel.name} is not a wheel: it is not a zip file."
            ) from None
        try:
            part.rename(target)
        except OSError:
            if not target.exists():  # else another task unpacked it first
                raise
    return str(target)


def _entry_point(package: str, name: str, libraries: list[str]) -> Callable[[], object]:
    """The wheel's entry point by its metadata, else the package's attribute of that name."""
    found = [
        distribution
        for distribution in importlib.metadata.distributions(path=libraries)
        if _normal(distribution.metadata["Name"]) == _normal(package)
    ]
    points = [point for distribution in found for point in distribution.entry_points if point.name == name]
    points.sort(key=lambda point: point.group != "console_scripts")
    if points:
        return points[0].load()  # type: ignore[no-any-return]
    try:
        module = importlib.import_module(package.replace("-", "_"))
    except ModuleNotFoundError:
        raise TaskError(
            f"Python wheel with name {package} could not be found. Please check the driver logs for more details"
        ) from None
    function = getattr(module, name, None)
    if not callable(function):
        known = sorted({point.name for distribution in found for point in distribution.entry_points})
        raise TaskError(
            f"Entry point {name} could not be found in the Python wheel {package}"
            + (f". Its entry points are: {', '.join(known)}" if known else "")
        )
    return function  # type: ignore[no-any-return]


def _normal(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")
