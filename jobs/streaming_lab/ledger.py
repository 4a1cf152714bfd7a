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

_MANY = 3


class CannotMeasure(Exception):
    """A part of an exercise that is missing or broken; the message is the problem's sentence, without the exercise."""


@dataclass
class Ledger:
    """One exercise's numbers, in rows, and what is wrong with them."""

    name: str
    sent: int = 0
    stored: int = 0
    quarantined: int = 0
    duplicates: int = 0
    late: int = 0
    open: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def remainder(self) -> int:
        """Rows sent that are in none of the other terms; below zero when there are more rows than were sent."""
        return self.sent - self.stored - self.quarantined - self.duplicates - self.late - self.open

    def as_dict(self) -> dict[str, Any]:
        """The machine-readable form."""
        values = asdict(self)
        problems = values.pop("problems")
        return {**values, "remainder": self.remainder, "problems": problems}

    def problem(self, sentence: str) -> None:
        """Note a problem; its sentence starts with the exercise."""
        self.problems.append(f"{self.name}: {sentence}")

    @contextmanager
    def measuring(self, what: str) -> Iterator[None]:
        """What cannot be measured becomes a problem that names it, and the other terms are still measured."""
        try:
            yield
        except CannotMeasure as error:
            self.problem(str(error))
        except (PySparkException, Py4JJavaError, ValueError) as error:
            self.problem(f"{what} cannot be read: {_first_line(error)}")

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


def some(differences: list[str]) -> list[str]:
    """The first few differences, and how many more there are."""
    rest = len(differences) - _MANY
    return [*differences[:_MANY], *([f"and {rest:,} more of this kind"] if rest > 0 else [])]


def _first_line(error: Exception) -> str:
    cause = error.java_exception if isinstance(error, Py4JJavaError) else error
    return str(cause).strip().splitlines()[0]
