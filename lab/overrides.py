"""The config values given with `-c`: they hold for every later `up` of the stack."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from lab.clouds import Cloud
from lab.project import Project, StackConfig, stack_config, write_private


def kept_overrides(cloud: Cloud, student: str) -> dict[str, str]:
    """The overrides kept for a student, by full key."""
    try:
        return dict(json.loads(_file(cloud, student).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}


def keep_overrides(cloud: Cloud, student: str, overrides: Mapping[str, str]) -> None:
    """Keep exactly these from now on."""
    if overrides:
        write_private(_file(cloud, student), json.dumps(dict(overrides)))
    else:
        _file(cloud, student).unlink(missing_ok=True)


def current_config(project: Project, cloud: Cloud, student: str) -> StackConfig:
    """The stack's configuration as the next `up` without options will see it."""
    return stack_config(project, student, kept_overrides(cloud, student), ())


def _file(cloud: Cloud, student: str) -> Path:
    return cloud.folder / "overrides" / f"{student}.json"
