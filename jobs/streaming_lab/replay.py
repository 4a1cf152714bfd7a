"""Replay of a query from its own checkpoint: which batch took which rows, and what the watermark then was.

A checkpoint holds, for each batch N, `offsets/N` (how far each source was read, and the watermark that state is cleaned
with) and `commits/N` (written when the batch is done). A file source's offset is a number in its own log, `sources/0`,
which maps it to files; every tenth file of that log, `N.compact`, repeats the earlier ones. Kafka's offset is the first
offset not read, for each partition.

Late rows of batch N are filtered with the watermark of batch N-1 (batch 0 has none): a row is late when its time, or
the end of its window, is not after it. Tried on Spark 4.1 with windows and with dropDuplicatesWithinWatermark.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

BATCH = "replay_batch"
LATE_UNTIL = "replay_late_until"

_MEND = "restore it, or run the exercises with another scale, which begins them anew"


class NotRun(Exception):
    """A query has left no checkpoint, for it was never started; the message is the path that is not there."""


@dataclass(frozen=True)
class Checkpoint:
    """What a query's checkpoint says of its committed batches.

    `watermarks` has one entry a batch, in milliseconds since 1970; `files` maps a file's name to its batch; `ends` has,
    for each partition, the first offset that each batch did not read.
    """

    path: str
    watermarks: tuple[int, ...]
    files: dict[str, int] = field(default_factory=dict)
    ends: dict[int, tuple[int, ...]] = field(default_factory=dict)

    @property
    def watermark(self) -> int:
        """The watermark of the last committed batch, which state was cleaned with; milliseconds since 1970."""
        return self.watermarks[-1] if self.watermarks else 0


def read(spark: SparkSession, *paths: str) -> list[Checkpoint]:
    """The checkpoints at the paths; NotRun when one is not there, ValueError when one lacks batches or is damaged."""
    texts = _texts(spark, paths)
    return [_checkpoint(path, texts[path]) for path in paths]


def _checkpoint(path: str, texts: dict[tuple[str, str], str]) -> Checkpoint:
    offsets = {int(name): text.splitlines() for (folder, name), text in texts.items() if folder == "offsets"}
    committed = sorted(int(name) for folder, name in texts if folder == "commits")
    gone = sorted(set(range(max(committed, default=-1) + 1)) - (set(committed) & offsets.keys()))
    if gone:
        raise ValueError(f"checkpoint {path} lacks batch {gone[0]}: {_MEND}")
    batches = []
    for batch in committed:
        with _undamaged(f"{path}/offsets/{batch}"):
            batches.append(_offsets(offsets[batch]))
    watermarks, ends = tuple(watermark for watermark, _ in batches), [end for _, end in batches]
    if not any("logOffset" in end for end in ends):
        return Checkpoint(path, watermarks, ends=_ends([next(iter(end.values()), {}) for end in ends]))
    log: list[dict[str, Any]] = []
    for (folder, name), text in texts.items():
        if folder == "0":
            with _undamaged(f"{path}/sources/0/{name}"):
                log += [_log_entry(line) for line in text.splitlines()[1:]]
    return Checkpoint(path, watermarks, files=_files([int(end.get("logOffset", -1)) for end in ends], log))


@contextmanager
def _undamaged(file: str) -> Iterator[None]:
    """Name the file of a checkpoint that is not what Spark wrote."""
    try:
        yield
    except (IndexError, KeyError, TypeError, ValueError):
        raise ValueError(f"{file} is damaged: {_MEND}") from None


def _offsets(lines: list[str]) -> tuple[int, dict[str, Any]]:
    """A batch's watermark in milliseconds, and the end of its source: a version, the metadata and the offset."""
    _, metadata, end = lines
    return int(json.loads(metadata)["batchWatermarkMs"]), {} if end == "-" else dict(json.loads(end))


def _log_entry(line: str) -> dict[str, Any]:
    entry = dict(json.loads(line))
    return {"path": str(entry["path"]), "batchId": int(entry["batchId"])}


def by_file(rows: DataFrame, checkpoint: Checkpoint, file_name: str) -> DataFrame:
    """The rows with their batch and the time up to which rows were late in it; both null if no batch read the file."""
    spark = rows.sparkSession
    # A literal: createDataFrame would start a Python worker to hand over a few names.
    batches = F.from_json(F.lit(json.dumps(checkpoint.files)), "map<string, int>")
    files = spark.range(1).select(F.explode(batches).alias(file_name, BATCH))
    return _with_late_until(rows.join(F.broadcast(files), file_name, "left"), checkpoint)


def by_offset(rows: DataFrame, checkpoint: Checkpoint) -> DataFrame:
    """The same for rows of a hub, which have a `partition` and an `offset`."""
    return _with_late_until(rows.withColumn(BATCH, batch_of_offset(checkpoint)), checkpoint)


def batch_of_offset(checkpoint: Checkpoint) -> Column:
    """The batch that read the row at `partition` and `offset`; null if none did."""
    batch = F.lit(None).cast("int")
    for partition, ends in checkpoint.ends.items():
        # The batch of an offset is the number of batches that ended at or before it.
        before = F.size(F.filter(_array(ends), lambda end: end <= F.col("offset")))
        taken = F.when(F.col("offset") < ends[-1], before)
        batch = F.when(F.col("partition") == partition, taken).otherwise(batch)
    return batch


def _with_late_until(rows: DataFrame, checkpoint: Checkpoint) -> DataFrame:
    # The epoch stands for "no watermark yet", as in Spark itself.
    late = (0, *checkpoint.watermarks)
    return rows.withColumn(LATE_UNTIL, F.timestamp_millis(F.get(_array(late), F.col(BATCH))))


def _array(numbers: Iterable[int]) -> Column:
    return F.array(*(F.lit(number).cast("long") for number in numbers))


def _files(ends: list[int], entries: list[dict[str, Any]]) -> dict[str, int]:
    batches: dict[str, int] = {}
    for entry in entries:
        batch = next((n for n, end in enumerate(ends) if entry["batchId"] <= end), None)
        if batch is not None:
            batches[entry["path"].rsplit("/", 1)[-1]] = batch
    return batches


def _ends(ends: list[dict[str, int]]) -> dict[int, tuple[int, ...]]:
    partitions = sorted({partition for end in ends for partition in end}, key=int)
    return {int(partition): tuple(int(end.get(partition, 0)) for end in ends) for partition in partitions}


def _texts(spark: SparkSession, paths: Sequence[str]) -> dict[str, dict[tuple[str, str], str]]:
    """The checkpoints' small files, by path, then by folder and name; read in one Spark job, so any storage does."""
    folders = [f"{path}/{folder}" for path in paths for folder in ("offsets", "commits", "sources/0")]
    try:
        frame = spark.read.text(folders, wholetext=True)
    except AnalysisException as error:
        if error.getCondition() == "PATH_NOT_FOUND":
            raise NotRun(str((error.getMessageParameters() or {}).get("path", paths[0]))) from None
        raise
    texts: dict[str, dict[tuple[str, str], str]] = {path: {} for path in paths}
    for file, text in frame.select("_metadata.file_path", "value").collect():
        # Query names are unique, and a file's path may be written in another way than the path that was asked for.
        *_, query, folder, name = file.replace("/sources/0/", "/0/").split("/")
        path = next(path for path in paths if path.rsplit("/", 1)[-1] == query)
        texts[path][folder, name] = text
    return texts
