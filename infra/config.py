"""The configuration of one lab: its keys, their rules, and one sentence for each value that breaks one.

Pulumi.yaml declares the same keys with the same defaults; the engine gives every value to the program as text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cache
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError

from infra import naming, quartz
from infra.offers import NODE_TYPES, REGIONS, RUNTIMES, SUGGESTED

NAMESPACE = "streaming-lab"

# Azure: the first month that a budget can start in.
_FIRST_BUDGET = date(2017, 6, 1)
_ATOM = r"[\w+'-]+"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
_EMAIL = re.compile(rf"{_ATOM}(\.{_ATOM})*@({_LABEL}\.)+[A-Za-z]{{2,}}", re.ASCII)


class ConfigError(Exception):
    """Wrong configuration: one sentence for each wrong key, each on its own line, with key, value and rule."""


def _broken(rule: str) -> PydanticCustomError:
    # The rule is data, not a template: it may hold braces.
    return PydanticCustomError("rule", "{rule}", {"rule": rule})


def _id(length: tuple[int, int]) -> AfterValidator:
    def check(text: str) -> str:
        if not naming.is_valid_id(text, length):
            raise _broken(f"{naming.id_rule(length)}, and hold neither 'microsoft' nor 'windows', which Azure reserves")
        return text

    return AfterValidator(check)


def _email(text: str) -> str:
    if len(text) > 254 or not _EMAIL.fullmatch(text):
        raise _broken("it must be an e-mail address such as student@example.com")
    return text


def _user_name(text: str) -> str:
    # Databricks keeps user names in lower case.
    return _email(text.lower()) if text else ""


def _parsed(text: object) -> date | None:
    try:
        if isinstance(text, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            return date.fromisoformat(text)
    except ValueError:
        pass
    return None


def _date(text: object) -> date:
    day = _parsed(text)
    if day is None:
        raise _broken("it must be a date such as 2027-06-30")
    today = datetime.now(UTC).date()
    if day < today:
        raise _broken(f"it must not be in the past (today is {today.isoformat()}, UTC)")
    return day


def _budget_start(text: object) -> date | None:
    if text == "":
        return None
    start, today = _parsed(text), datetime.now(UTC).date()
    last = today.replace(year=today.year + 1, day=1)
    # No past start is refused: a budget keeps the one that it was made with.
    if start is None or start.day != 1 or not _FIRST_BUDGET <= start <= last:
        raise _broken(
            f"it must be the first day of a month from {_FIRST_BUDGET} to {last}, or empty for the month of the first "
            "deployment"
        )
    return start


def _switch(text: object) -> bool:
    if text not in (True, False, "true", "false"):
        raise _broken("it must be true or false")
    return text in (True, "true")


def _region(text: str) -> str:
    if text not in REGIONS:
        raise _broken(f"it must be one of the lab's regions, which have Azure Databricks: {', '.join(sorted(REGIONS))}")
    return text


def _sku(text: str) -> str:
    if text == "Basic":
        raise _broken("it must be Standard or Premium, for Basic has no Kafka endpoint, which the streaming jobs need")
    if text not in ("Standard", "Premium"):
        raise _broken("it must be Standard or Premium")
    return text


def _node_type(text: str) -> str:
    if text not in NODE_TYPES:
        raise _broken(
            "it is not a node type that Databricks offers; choose one with 4 cores, for example "
            f"{', '.join(SUGGESTED[:-1])} or {SUGGESTED[-1]}"
        )
    return text


def _runtime(text: str) -> str:
    if text not in RUNTIMES:
        raise _broken(f"it must be a Databricks Runtime with Spark 4.1 and Scala 2.13: {', '.join(RUNTIMES)}")
    return text


def _cron(text: str) -> str:
    wrong = quartz.problem(text)
    if wrong:
        raise _broken(f"it must be a Quartz cron expression such as '0 0 6 ? * MON-FRI', but {wrong}")
    return text


@cache
def _time_zones() -> set[str]:
    # Java, which reads the schedule, knows neither.
    return available_timezones() - {"localtime", "Factory"}


def _time_zone(text: str) -> str:
    if text not in _time_zones():
        raise _broken("it must be a time zone such as UTC or Europe/Amsterdam")
    return text


def _whole_number(low: int, high: int, unit: str) -> BeforeValidator:
    def check(value: object) -> int:
        if (
            isinstance(value, bool)
            or not re.fullmatch(r"-?\d{1,9}", str(value), re.ASCII)
            or not low <= int(str(value)) <= high
        ):
            raise _broken(f"it must be a whole number of {unit} from {low} to {high}")
        return int(str(value))

    return BeforeValidator(check)


Email = Annotated[str, AfterValidator(_email)]
Day = Annotated[date, BeforeValidator(_date)]
Switch = Annotated[bool, BeforeValidator(_switch)]


class LabConfig(BaseModel):
    """What one student's lab is made from; see the README for each key."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)

    student: Annotated[str, _id(naming.STUDENT_LENGTH)]
    course: Annotated[str, _id(naming.COURSE_LENGTH)] = "dp-203"
    owner_email: Email
    student_email: Annotated[str, AfterValidator(_user_name)] = ""
    expires_on: Day
    location: Annotated[str, AfterValidator(_region)] = "westeurope"
    event_hubs_sku: Annotated[str, AfterValidator(_sku)] = "Standard"
    hub_partitions: Annotated[int, _whole_number(1, 32, "partitions")] = 2
    storage_access: Literal["identity", "key"] = Field("identity", description="it must be identity or key")
    no_public_ip: Switch = False
    node_type: Annotated[str, AfterValidator(_node_type)] = "Standard_D4ds_v5"
    spark_version: Annotated[str, AfterValidator(_runtime)] = "18.x-scala2.13"
    autotermination_minutes: Annotated[int, _whole_number(10, 10_000, "minutes")] = 30
    exercises_cron: Annotated[str, AfterValidator(_cron)] = "0 0 6 ? * MON-FRI"
    exercises_timezone: Annotated[str, AfterValidator(_time_zone)] = "UTC"
    exercises_paused: Switch = True
    live_paused: Switch = True
    budget_amount: Annotated[int, _whole_number(1, 1_000_000, "the billing currency's units")] = 50
    budget_start: Annotated[date | None, BeforeValidator(_budget_start)] = None

    @classmethod
    def load(cls, values: Mapping[str, str]) -> Self:
        """The configuration from texts by key (without the namespace); raises ConfigError."""
        try:
            config = cls.model_validate(dict(values))
        except ValidationError as error:
            raise ConfigError("\n".join(_sentence(detail, values) for detail in error.errors())) from None
        if config.student_email == config.owner_email.lower():
            # Adding and removing the student's account would add and remove the owner's.
            rule = "it must differ from ownerEmail; leave it empty when the owner is the student"
            raise ConfigError(f"config {NAMESPACE}:studentEmail is {values['studentEmail']}: {rule}")
        return config

    @property
    def seed(self) -> str:
        """The seed of the student's data: the same student gets the same data again."""
        return f"{self.course}-{self.student}"

    @property
    def tags(self) -> dict[str, str]:
        """The tags of everything that can carry some."""
        return {
            "course": self.course,
            "student": self.student,
            "owner": self.owner_email,
            "expires-on": self.expires_on.isoformat(),
        }


def _sentence(detail: ErrorDetails, values: Mapping[str, Any]) -> str:
    key = str(detail["loc"][0])
    where = f"config {NAMESPACE}:{key}"
    fields = {field.alias: field for field in LabConfig.model_fields.values()}
    given = str(values.get(key, ""))
    # A sentence is one line, whatever the value holds.
    shown = (given if given.isprintable() else repr(given)) or "empty"
    if detail["type"] == "extra_forbidden":
        return f"{where} is {shown}: there is no such key; the keys are {', '.join(sorted(map(str, fields)))}"
    if detail["type"] == "missing":
        return f"{where} is missing: set it with pulumi config set {NAMESPACE}:{key} VALUE"
    rule = detail["msg"] if detail["type"] == "rule" else fields[key].description or "it must be a text"
    return f"{where} is {shown}: {rule}"
