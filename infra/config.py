"""The configuration of one lab: its keys, their rules, and one sentence for each value that breaks one.

Pulumi.yaml declares the same keys with the same defaults; the engine gives every value to the program as text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError

from infra import naming, quartz
from infra.offers import NODE_TYPES, REGIONS, SUGGESTED

NAMESPACE = "streaming-lab"

# Azure: the first month that a budget can start in.
_FIRST_BUDGET = date(2017, 6, 1)
# The jobs need Spark 4.1 (Delta 4.3, Scala 2.13), which came with this major version.
_OLDEST_RUNTIME = 18
_EMAIL = re.compile(r"[\w.+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}", re.ASCII)


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


def _optional_email(text: str) -> str:
    if text and (len(text) > 254 or not _EMAIL.fullmatch(text)):
        raise _broken("it must be an e-mail address such as student@example.com, or empty")
    return text


def _date(text: object) -> date:
    try:
        if isinstance(text, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise _broken("it must be a date such as 2027-06-30")


def _budget_start(text: object) -> date | None:
    if text in ("", None):
        return None
    start = _date(text)
    if start.day != 1 or start < _FIRST_BUDGET:
        raise _broken("it must be the first day of a month, 2017-06-01 or later, or empty for the current month")
    return start


def _switch(text: object) -> bool:
    if text not in (True, False, "true", "false"):
        raise _broken("it must be true or false")
    return text in (True, "true")


def _region(text: str) -> str:
    if text not in REGIONS:
        raise _broken(f"it must be an Azure region that has Azure Databricks: {', '.join(sorted(REGIONS))}")
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
    match = re.fullmatch(r"(\d{1,3})\.(\d{1,2}\.)?x-scala2\.13", text)
    if not match or int(match[1]) < _OLDEST_RUNTIME:
        raise _broken(f"it must be a Databricks Runtime {_OLDEST_RUNTIME} or later with Scala 2.13: 18.x-scala2.13")
    return text


def _cron(text: str) -> str:
    wrong = quartz.problem(text)
    if wrong:
        raise _broken(f"it must be a Quartz cron expression such as '0 0 6 ? * MON-FRI', but {wrong}")
    return text


def _time_zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise _broken("it must be a time zone such as UTC or Europe/Amsterdam") from None
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
    student_email: Annotated[str, AfterValidator(_optional_email)] = ""
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
        if config.student_email and config.student_email.lower() == config.owner_email.lower():
            # Adding and removing the student's account would add and remove the owner's.
            rule = "it must differ from ownerEmail; leave it empty when the owner is the student"
            raise ConfigError(f"config {NAMESPACE}:studentEmail is {config.student_email}: {rule}")
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
    if detail["type"] == "extra_forbidden":
        return f"{where} is {values[key]}: there is no such key; the keys are {', '.join(sorted(map(str, fields)))}"
    if detail["type"] == "missing":
        return f"{where} is missing: set it with pulumi config set {NAMESPACE}:{key} VALUE"
    rule = detail["msg"] if detail["type"] == "rule" else fields[key].description or "it must be a text"
    return f"{where} is {values[key] or 'empty'}: {rule}"
