"""The ledger of an exercise: what was sent and what became of it, each term measured on its own.

    sent = stored + quarantined + duplicates + late + open + remainder

`sent` comes from the manifest, `stored` and `quarantined` from the tables, `open` from the query's state, `duplicates`
and `late` from a replay of the query's checkpoint over the rows of its source. Nothing is derived from another term, so
a remainder other than 0 means that rows were lost, doubled or changed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from streaming_lab import replay
from streaming_lab.layout import Layout
from streaming_lab.manifest import Source
from streaming_lab.replay import Checkpoint

_MANY = 3
_AS_EVER: dict[str, Any] = {"whole": True, "problems": [], "notes": []}


class CannotMeasure(Exception):
    """A part of an exercise that is missing or broken; the message is the problem's sentence, without the exercise."""


@dataclass
class Ledger:
    """One exercise's numbers, in rows, and what is wrong with them.

    `whole` says that the source still held all that was sent when the ledger was measured. Problems and notes are
    sentences without the exercise's name.
    """

    name: str
    sent: int = 0
    stored: int = 0
    quarantined: int = 0
    duplicates: int = 0
    late: int = 0
    open: int = 0
    whole: bool = True
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def remainder(self) -> int:
        """Rows sent that are in none of the other terms; below zero when there are more rows than were sent."""
        return self.sent - self.stored - self.quarantined - self.duplicates - self.late - self.open

    def as_dict(self) -> dict[str, Any]:
        """The machine-readable form: the terms, and what else there is to say, if anything."""
        said = {name: value for name, value in asdict(self).items() if name not in _AS_EVER or value != _AS_EVER[name]}
        return {**said, "remainder": self.remainder}

    def problem(self, sentence: str) -> None:
        """Note a problem."""
        self.problems.append(sentence)

    @contextmanager
    def measuring(self, what: str) -> Iterator[None]:
        """What cannot be measured becomes a problem that names it, and the other terms are still measured."""
        try:
            yield
        except CannotMeasure as error:
            self.problem(str(error))
        except (PySparkException, Py4JJavaError, ValueError) as error:
            self.problem(f"{what} cannot be read: {_first_line(error)}")

    def unread(self, rows: int) -> None:
        """Note rows of the source that the query has not processed: it was stopped before its end."""
        if rows:
            self.problem(f"{rows:,} of {self.sent:,} rows were not processed yet: run it again, and it goes on")

    def close(self) -> "Ledger":
        """The ledger with its remainder judged."""
        if self.remainder and not any("has not been run" in problem for problem in self.problems):
            where = "are in none of the ledger's terms" if self.remainder > 0 else "are too many"
            self.problem(f"the remainder is {self.remainder:,}: {abs(self.remainder):,} of {self.sent:,} rows {where}")
        return self


def table(spark: SparkSession, path: str) -> DataFrame:
    """A Delta table that a query of the exercise should have written."""
    try:
        return spark.read.format("delta").load(path)
    except AnalysisException:
        raise CannotMeasure(f"table {path.rsplit('/', 1)[-1]} does not exist: the exercise has not been run") from None


def checkpoints(spark: SparkSession, layout: Layout, *queries: str) -> list[Checkpoint]:
    """The checkpoints of queries of the exercise."""
    try:
        return replay.read(spark, *(layout.checkpoint(query) for query in queries))
    except replay.NotRun as error:
        raise CannotMeasure(f"there is no checkpoint {error}: the exercise has not been run") from None


def count(rows: DataFrame) -> int:
    """The number of rows, from the data files themselves: Delta would answer a plain count from its log."""
    return int(
        rows.agg(F.count("*").alias("rows"), F.bit_xor(F.xxhash64(*rows.columns)).alias("read")).collect()[0]["rows"]
    )


@dataclass(frozen=True)
class Comparison:
    """A table beside what a batch over its source expects: the rows stored, missing, and there without a reason."""

    stored: int
    missing: int
    foreign: int


def compare(expected: DataFrame, stored: DataFrame) -> Comparison:
    """Compare over the columns of `expected`, in one pass; equal rows count as often as they are there."""
    row = F.xxhash64(*expected.columns).alias("row")
    both = expected.select(row, F.lit(1).alias("expected"), F.lit(0).alias("stored")).unionAll(
        stored.select(row, F.lit(0).alias("expected"), F.lit(1).alias("stored"))
    )
    each = both.groupBy("row").agg(F.sum("expected").alias("expected"), F.sum("stored").alias("stored"))
    missing = F.greatest(F.col("expected") - F.col("stored"), F.lit(0))
    foreign = F.greatest(F.col("stored") - F.col("expected"), F.lit(0))
    sums = each.agg(*(F.coalesce(F.sum(number), F.lit(0)) for number in ("stored", missing, foreign)))
    return Comparison(*sums.collect()[0])


def check_input(ledger: Ledger, spark: SparkSession, folder: str, source: Source, read: list[Checkpoint]) -> None:
    """Whether the input is what the manifest says, and whether the queries of these checkpoints have read it all."""
    lines = spark.read.text(folder).groupBy("_metadata.file_name").count().collect()
    records = {row["file_name"]: row["count"] for row in lines}
    found = sum(records.values())
    if (found, len(records)) != (source.records, source.files):
        ledger.whole = False
        gone = sorted(set().union(*(query.files for query in read)) - records.keys())
        ledger.problem(
            f"{folder} has {len(records)} of {source.files} files and {found:,} of {source.records:,} records"
            + (f"; gone: {', '.join(some(gone))}" if gone else "")
        )
    ledger.unread(sum(number for name, number in records.items() if not all(name in query.files for query in read)))


def some(differences: list[str]) -> list[str]:
    """The first few differences, and how many more there are."""
    rest = len(differences) - _MANY
    return [*differences[:_MANY], *([f"and {rest:,} more"] if rest > 0 else [])]


def _first_line(error: Exception) -> str:
    cause = error.java_exception if isinstance(error, Py4JJavaError) else error
    return str(cause).strip().splitlines()[0]
