"""What the cloud itself still shows of a student: the certificate that `down` gives."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra import naming
from lab.arm import Arm
from lab.clouds import Cloud
from lab.errors import LabError
from lab.report import Report
from lab.state import State


@dataclass(frozen=True)
class Names:
    """How a student's things are recognised.

    groups: names of the resource groups, in lower case (Azure ignores case)
    tags: the tags that all of the student's resources carry
    recorded: those among the groups that the engine's record shows as made
    budgets: ids of the budgets, which stand outside every group and carry no tags, to the group that each watches; no
        group where the record shows the budget as made
    given: the program's own names, where the course is known
    """

    groups: frozenset[str]
    tags: Mapping[str, str]
    recorded: frozenset[str] = frozenset()
    budgets: Mapping[str, str] = field(default_factory=dict)
    given: naming.Names | None = None


def names_of(student: str, state: State | None, config: Mapping[str, str], subscription: str) -> Names:
    """The student's names: those that the program gives, and those in the engine's record (complete or interrupted).

    With the program's own names, `down` works when the record is lost too.
    """
    made = state.resources if state else []
    begun = [one["resource"] for one in state.pending] if state else []
    recorded = _groups(made)
    groups, budgets = recorded | _groups(begun), {}
    tags = {"student": student, **({"course": config["course"]} if config.get("course") else {})}
    given = naming.Names(subscription, config["course"], student) if config.get("course") else None
    if given:
        groups |= {given.resource_group, given.managed_resource_group}
        budgets[_budget(f"/subscriptions/{subscription}", given.budget)] = given.resource_group
    for resource in [*begun, *made]:
        if resource["type"] == "azure-native:consumption:Budget":
            inputs = resource.get("inputs") or {}
            budgets[_budget(str(inputs.get("scope")), str(inputs.get("budgetName")))] = ""
    return Names(groups, tags, recorded, budgets, given)


def delete_remaining(arm: Arm, names: Names) -> None:
    """Delete the groups and budgets that the engine has not deleted, above all the workspace's managed group.

    With Unity Catalog on, Azure leaves that group behind, with a storage account in it that costs money. A group that
    only has the student's name for a group is not touched: two students can come to one name, as course dp with
    student a-b and course dp-a with student b do.
    """
    groups = arm.groups()
    foreign = _foreign(groups, names)
    for group in groups:
        if _is_known(group, names, foreign):
            arm.delete_group(group["name"])
    for budget, watched in names.budgets.items():
        if watched not in foreign:
            arm.delete(budget)


def delete_metastore_objects(cloud: Cloud, arm: Arm, names: Names, report: Report) -> None:
    """Delete what the region's metastore would keep of a workspace that no record tells the engine to take down."""
    from databricks.sdk.errors import NotFound
    from databricks.sdk.errors.base import DatabricksError

    if names.given is None:
        return
    name = names.given.metastore_object
    for found in arm.resources():
        if str(found["type"]).lower() != "microsoft.databricks/workspaces" or not _carries(found, names.tags):
            continue
        made = arm.get(found["id"]) or {}
        try:
            workspace = cloud.workspace({**made["properties"], "workspaceResourceId": found["id"]})
            for objects in (workspace.external_locations, workspace.storage_credentials):
                with contextlib.suppress(NotFound):
                    objects.delete(name, force=True)
        except (DatabricksError, LabError, KeyError) as error:
            # A broken workspace, or one without a metastore; after it is gone, nobody can look any more.
            report.line("unknown", f"whether the metastore still has {name} ({error})")


def leftovers(arm: Arm, names: Names) -> list[str]:
    """The ids of the groups, resources and budgets that are still there."""
    every = arm.groups()
    foreign = _foreign(every, names)
    theirs = names.groups - foreign
    groups = [group["id"] for group in every if _name(group) in theirs or _carries(group, names.tags)]
    resources = [one["id"] for one in arm.resources() if _group_of(one["id"]) in theirs or _carries(one, names.tags)]
    budgets = [budget for budget, watched in names.budgets.items() if watched not in foreign and arm.exists(budget)]
    return sorted({*groups, *resources, *budgets})


def _budget(scope: str, name: str) -> str:
    return f"{scope}/providers/Microsoft.Consumption/budgets/{name}"


def _groups(resources: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The groups that these resources of the record are or, as workspaces do, make."""
    found = set()
    for resource in resources:
        inputs = resource.get("inputs") or {}
        if resource["type"] == "azure-native:resources:ResourceGroup":
            found.add(str(inputs.get("resourceGroupName", "")).lower())
        elif resource["type"] == "azure-native:databricks:Workspace":
            found.add(str(inputs.get("managedResourceGroupId", "")).rpartition("/")[2].lower())
    return frozenset(found - {""})


def _foreign(groups: Iterable[Mapping[str, Any]], names: Names) -> frozenset[str]:
    """The groups that have one of the student's names and are another's: their tags say so, or their workspace."""
    unrecorded = [group for group in groups if _name(group) in names.groups - names.recorded]
    tagged = {
        _name(group)
        for group in unrecorded
        if any((group.get("tags") or {}).get(key, value) != value for key, value in names.tags.items())
    }
    managed = {
        _name(group)
        for group in unrecorded
        if group.get("managedBy") and _group_of(group["managedBy"]) not in names.groups - tagged
    }
    return frozenset(tagged | managed)


def _is_known(group: Mapping[str, Any], names: Names, foreign: frozenset[str]) -> bool:
    """Whether a group with one of the student's names is the student's: by the record, its tags, or its workspace."""
    name = _name(group)
    known = name in names.recorded or _carries(group, names.tags) or bool(group.get("managedBy"))
    return known and name in names.groups - foreign


def _carries(thing: Mapping[str, Any], tags: Mapping[str, str]) -> bool:
    carried = thing.get("tags") or {}
    return all(carried.get(key) == value for key, value in tags.items())


def _name(group: Mapping[str, Any]) -> str:
    return str(group["name"]).lower()


def _group_of(resource_id: str) -> str:
    parts = resource_id.lower().split("/")
    return parts[parts.index("resourcegroups") + 1] if "resourcegroups" in parts else ""
