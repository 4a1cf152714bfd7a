"""The workspace's secret scope: the only place where keys are."""

from __future__ import annotations

from typing import TypedDict

import pulumi
import pulumi_databricks as databricks
from pulumi import ResourceOptions

from infra.access import Access
from infra.event_hubs import EventHubs
from infra.stack import Lab
from infra.storage import Storage
from infra.workspace import Workspace

SEND = "event-hubs-send"
LISTEN = "event-hubs-listen"
STORAGE_KEY = "storage-key"


class SecretsArgs(TypedDict):
    """What to keep, and for whom."""

    lab: Lab
    """Configuration and names."""
    workspace: Workspace
    """The workspace that gets the scope."""
    event_hubs: EventHubs
    """The hub whose connection strings are kept."""
    storage: Storage
    """The storage whose key is kept where there is one."""
    access: Access
    """The person who may read the secrets."""


class Secrets(pulumi.ComponentResource):
    """A scope with a secret for each key, readable by the student."""

    scope: pulumi.Output[str]
    """Name of the scope."""
    all: list[pulumi.Resource]
    """What must exist before a cluster can resolve a secret."""

    def __init__(self, name: str, args: SecretsArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("lab:infra:Secrets", name, {}, opts)
        config, workspace = args["lab"].config, args["workspace"]
        scope = databricks.SecretScope("scope", name=args["lab"].names.workspace_object, opts=workspace.inside(self))
        values = {SEND: args["event_hubs"].send, LISTEN: args["event_hubs"].listen}
        if args["storage"].key is not None:
            values[STORAGE_KEY] = args["storage"].key
        self.scope = scope.name
        # A new value replaces the secret. Created first, it would be deleted again with the old one, which has the same
        # key (pulumi-databricks#642).
        replaced = ResourceOptions.merge(workspace.inside(self), ResourceOptions(delete_before_replace=True))
        self.all = [
            databricks.Secret(key, key=key, scope=scope.name, string_value=value, opts=replaced)
            for key, value in values.items()
        ]
        # Who deploys made the scope and manages it.
        if config.student_email:
            self.all.append(
                databricks.SecretAcl(
                    "student-reads",
                    scope=scope.name,
                    principal=args["access"].person,
                    permission="READ",
                    opts=workspace.inside(self),
                )
            )
        self.register_outputs({"scope": self.scope})
