"""Small files and folders on the lab's storage, through the file systems that Spark itself uses."""

from __future__ import annotations

import json
from typing import Any

from pyspark.sql import SparkSession


def exists(spark: SparkSession, path: str) -> bool:
    """Whether there is a file or folder at the path."""
    file_system, hadoop_path = _open(spark, path)
    return bool(file_system.exists(hadoop_path))


def require_input(spark: SparkSession, task: str, path: str) -> None:
    """End the task with one sentence where its input folder is missing."""
    if not exists(spark, path):
        raise SystemExit(f"{task}: there is no input in {path}; run the task generate first")


def delete(spark: SparkSession, path: str) -> None:
    """Delete a file, or a folder with all that is in it; nothing happens where there is none."""
    file_system, hadoop_path = _open(spark, path)
    file_system.delete(hadoop_path, True)


def make_folder(spark: SparkSession, path: str) -> None:
    """Make a folder and its parents where they are missing."""
    file_system, hadoop_path = _open(spark, path)
    file_system.mkdirs(hadoop_path)


def names(spark: SparkSession, path: str) -> list[str]:
    """The sorted names in a folder; empty where there is no folder."""
    file_system, hadoop_path = _open(spark, path)
    if not file_system.exists(hadoop_path):
        return []
    return sorted(status.getPath().getName() for status in file_system.listStatus(hadoop_path))


def read_text(spark: SparkSession, path: str) -> str | None:
    """The text of a file in UTF-8, or None where there is no file."""
    file_system, hadoop_path = _open(spark, path)
    if not file_system.exists(hadoop_path):
        return None
    stream = file_system.open(hadoop_path)
    try:
        return str(_jvm(spark).org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))
    finally:
        stream.close()


def write_text(spark: SparkSession, path: str, text: str) -> None:
    """Write a file in one step: a reader sees the old text, no file, or the new text, never a part of it."""
    file_system, hadoop_path = _open(spark, path)
    unfinished = hadoop_path.suffix(".unfinished")
    stream = file_system.create(unfinished, True)
    try:
        stream.write(bytearray(text.encode()))
    finally:
        stream.close()
    file_system.delete(hadoop_path, False)
    if not file_system.rename(unfinished, hadoop_path):
        raise OSError(f"{path} could not be written: the storage refused to rename {unfinished}")


def read_json(spark: SparkSession, path: str) -> dict[str, Any] | None:
    """The JSON object in a file, or None where there is no file."""
    text = read_text(spark, path)
    return None if text is None else dict(json.loads(text))


def write_json(spark: SparkSession, path: str, value: dict[str, Any]) -> None:
    """Write a JSON object as a file, in one step."""
    write_text(spark, path, json.dumps(value, indent=1) + "\n")


def _open(spark: SparkSession, path: str) -> tuple[Any, Any]:
    """The path, and the file system that it is on, with the credentials of the session."""
    hadoop_path = _jvm(spark).org.apache.hadoop.fs.Path(path)
    configuration = spark._jsparkSession.sessionState().newHadoopConf()
    return hadoop_path.getFileSystem(configuration), hadoop_path


def _jvm(spark: SparkSession) -> Any:
    return spark._jvm
