"""Names and values between Pulumi (`dependsOns`) and the Databricks API (`depends_on`)."""

import re
from typing import Any

from localcloud.providers.wire import UNKNOWN, Props
from localcloud.workspace.shelf import Record

# The bridge makes plurals of Terraform's lists where the API has none.
_PLURALS = {
    "dependsOns": "depends_on",
    "onFailures": "on_failure",
    "onStarts": "on_start",
    "onSuccesses": "on_success",
    "onDurationWarningThresholdExceededs": "on_duration_warning_threshold_exceeded",
    "onStreamingBacklogExceededs": "on_streaming_backlog_exceeded",
}
_SINGULARS = {name: plural for plural, name in _PLURALS.items()}
# Objects whose keys are the user's own words.
_MAPS = ("sparkConf", "sparkEnvVars", "customTags", "tags", "namedParameters", "baseParameters")
_OWN_KEYS = {re.sub(r"([A-Z])", r"_\1", name).lower() for name in _MAPS}


def snake(name: str) -> str:
    """The API's name of a property."""
    return _PLURALS.get(name) or re.sub(r"([A-Z])", r"_\1", name).lower()


def camel(name: str) -> str:
    """Pulumi's name of a field."""
    return _SINGULARS.get(name) or re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


def to_service(value: Any) -> Any:
    """Inputs in the API's form; `UNKNOWN` stays."""
    if isinstance(value, list):
        return [to_service(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        snake(name): dict(item) if name in _MAPS and isinstance(item, dict) else to_service(item)
        for name, item in value.items()
        if name != "providerConfig"
    }


def from_service(value: Any) -> Any:
    """A record of the API in Pulumi's form."""
    if isinstance(value, list):
        return [from_service(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        camel(name): dict(item) if name in _OWN_KEYS and isinstance(item, dict) else from_service(item)
        for name, item in value.items()
    }


def placeholders(value: Any, stand_ins: Record, name: str = "") -> Any:
    """The value with a stand-in for everything unknown, so that the rules on the rest can be checked.

    stand_ins: by the name of the field; a field without one is left out, and a text inside a list or map is `unknown`.
    """
    if isinstance(value, list):
        return [placeholders(item, stand_ins) for item in value]
    if isinstance(value, dict):
        whole = {key: placeholders(item, stand_ins, key) for key, item in value.items()}
        if name in _OWN_KEYS:
            return {key: "unknown" if item is None else item for key, item in whole.items()}
        return {key: item for key, item in whole.items() if item is not None}
    if value is UNKNOWN:
        return stand_ins.get(name) if name else "unknown"
    return value


def covers(wanted: Any, actual: Any) -> bool:
    """Whether all that is wanted is so; what the service added beside it doesn't matter."""
    if wanted in (None, "", False, [], {}):
        # The service leaves out what is empty.
        return actual in (None, "", False, [], {})
    if isinstance(wanted, dict):
        return isinstance(actual, dict) and all(covers(item, actual.get(name)) for name, item in wanted.items())
    if isinstance(wanted, list):
        return (
            isinstance(actual, list)
            and len(wanted) == len(actual)
            and all(covers(one, other) for one, other in zip(wanted, actual, strict=True))
        )
    return bool(wanted == actual)


def made_up_name(name: str, olds: Props, seed: bytes) -> str:
    """A name for a resource that was given none, as the bridge makes it: the program's own with seven digits."""
    return str(olds.get("name") or f"{name}-{seed.hex()[:7] or '0000000'}")
