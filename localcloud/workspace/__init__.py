"""Databricks workspaces on this machine: models for each group of the API, their REST form, and what runs by itself."""

from localcloud.workspace.people import Caller
from localcloud.workspace.workspace import Workspace
from localcloud.workspace.workspaces import Workspaces

__all__ = ["Caller", "Workspace", "Workspaces"]
