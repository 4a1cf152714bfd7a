"""What a driver and a task are made of, and what a task ends with."""

from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe
from typing import Literal


@dataclass(frozen=True)
class ClusterSpec:
    """A cluster, with the secrets in its conf and environment resolved.

    ``mounts`` maps ``container@account.dfs.core.windows.net`` to a folder; ``host`` and ``token`` are the workspace's,
    for ``dbutils``; ``ui_key`` signs the requests that the Spark UI answers, base64url, new for each start.
    """

    cluster_id: str
    cores: int
    spark_conf: dict[str, str]
    env: dict[str, str]
    mounts: dict[str, Path]
    work_dir: Path
    host: str
    token: str = field(repr=False)
    ui_key: str = field(default_factory=lambda: token_urlsafe(32), repr=False)


@dataclass(frozen=True)
class TaskSpec:
    """A wheel's entry point, or a notebook's source text when ``notebook`` is given; its output goes to ``log``."""

    task_id: str
    package_name: str
    entry_point: str
    parameters: list[str]
    wheels: list[Path]
    log: Path
    notebook: str | None = None
    widgets: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskResult:
    """How a task ended; ``error`` is one line, ``trace`` the formatted traceback (both empty on success)."""

    outcome: Literal["SUCCESS", "FAILED", "CANCELED"]
    error: str
    trace: str
