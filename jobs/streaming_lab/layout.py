"""Where everything of a data set lies below the lab's root."""

from __future__ import annotations

from dataclasses import dataclass

DATASETS = ("exercises", "live", "databricks")
"""`exercises` is made by `generate`, `live` while it is watched, `databricks` comes with every real workspace."""

PUBLIC_INPUT = {
    "activity": "/databricks-datasets/definitive-guide/data/activity-data",
    "events": "/databricks-datasets/structured-streaming/events",
}

HUB_TABLES = {"event_hubs": "hub_events", "event_hubs_quarantine": "hub_events_quarantine"}
"""The tables that exercise 3 reads the hub into, by their queries."""


@dataclass(frozen=True)
class Layout:
    """The paths of one data set; `root` is a URL such as `abfss://lab@account.dfs.core.windows.net`, no final slash."""

    root: str
    dataset: str = "exercises"

    @property
    def hub_run(self) -> str:
        """The file that says where in the hub the events of the data set are."""
        return f"{self.home}/hub.json"

    @property
    def home(self) -> str:
        """The folder that holds all of the data set."""
        return f"{self.root}/{self.dataset}"

    @property
    def inputs(self) -> str:
        """The folder of the generated input files and their manifest."""
        return f"{self.home}/input"

    @property
    def tables(self) -> str:
        """The folder of the Delta tables."""
        return f"{self.home}/tables"

    @property
    def checkpoints(self) -> str:
        """The folder of the queries' checkpoints."""
        return f"{self.home}/checkpoints"

    @property
    def manifest(self) -> str:
        """The file that says what was generated; it is written last."""
        return f"{self.inputs}/manifest.json"

    @property
    def window_settings(self) -> str:
        """The file that says which size, slide and watermark the window tables were made with."""
        return f"{self.home}/windows.json"

    @property
    def ledgers(self) -> str:
        """The folder of the ledger."""
        return f"{self.home}/ledger"

    @property
    def ledger(self) -> str:
        """The ledger's file."""
        return f"{self.ledgers}/ledger.json"

    def input(self, source: str) -> str:
        """The folder of JSON files of a source: `activity`, `events` or `hub_events`."""
        if self.dataset == "databricks" and source in PUBLIC_INPUT:
            return PUBLIC_INPUT[source]
        return f"{self.inputs}/{source}"

    def table(self, name: str) -> str:
        """The folder of a Delta table, such as `windows_tumbling`."""
        return f"{self.tables}/{name}"

    def checkpoint(self, query: str) -> str:
        """The checkpoint folder of a query, named as the query."""
        return f"{self.checkpoints}/{query}"
