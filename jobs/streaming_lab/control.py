"""The folder in the workspace where a task leaves its progress, and where it finds requests to stop."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

log = logging.getLogger(__name__)


def stops(request: dict[str, Any], dataset: str, started: datetime, names: Iterable[str]) -> set[str]:
    """The queries of a task that a stop request names; none when it is for another data set or older than the task."""
    if request["dataset"] not in ("*", dataset) or datetime.fromisoformat(request["requested_at"]) <= started:
        return set()
    return {name for name in names if "*" in request["queries"] or name in request["queries"]}


class ControlFolder:
    """A workspace folder. Trouble with it is logged once and never ends the task: the data matters more."""

    def __init__(self, folder: str, task: str, dataset: str) -> None:
        self._folder = folder.rstrip("/")
        self._progress = f"{self._folder}/progress/{dataset}-{task}.json"
        self._dataset = dataset
        self._started = datetime.now(UTC)
        self._client: WorkspaceClient | None = None
        self._warned = False

    def publish(self, report: dict[str, Any]) -> None:
        """Replace the task's progress file."""
        from databricks.sdk.service.workspace import ImportFormat

        try:
            content = io.BytesIO(json.dumps(report).encode())
            client = self._workspace()
            client.workspace.upload(self._progress, content, format=ImportFormat.RAW, overwrite=True)
        except Exception as error:
            self._warn(error)

    def requested_stops(self, names: Iterable[str]) -> set[str]:
        """The queries that somebody asked to stop since the task began."""
        from databricks.sdk.errors import NotFound

        try:
            with self._workspace().workspace.download(f"{self._folder}/stop.json") as file:
                return stops(json.load(file), self._dataset, self._started, names)
        except NotFound:
            return set()
        except Exception as error:
            self._warn(error)
            return set()

    def prepare(self) -> None:
        """Make the folder for the progress files."""
        try:
            self._workspace().workspace.mkdirs(f"{self._folder}/progress")
        except Exception as error:
            self._warn(error)

    def _workspace(self) -> WorkspaceClient:
        from databricks.sdk import WorkspaceClient
        from databricks.sdk.config import Config

        if self._client is None:
            # Not the SDK's 5 minutes: a report that is late by more than a few others is of no use.
            self._client = WorkspaceClient(config=Config(http_timeout_seconds=10, retry_timeout_seconds=10))
        return self._client

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            log.warning("Progress and stop requests in %s do not work: %s", self._folder, error)
