"""What the cloud itself still shows of a student: the certificate that `down` gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra import naming
from lab.arm import Arm
from lab.state import State


@dataclass(frozen=True)
class Names:
    """How a student's things are recognised.

    groups: names of the resource groups, in lower case (Azure ignores case)
    tags: the tags that all of the student's resources carry
    budgets: ids of the budgets, which stand outside every group and carry no tags
    """

    groups: frozenset[str]
    tags: Mapping[str, str]
    budgets: frozenset[str] = frozenset()


def names_of(student: str, state: State | None, config: Mapping[str, str], subscription: str) -> Names:
    """The student's names: those that the program gives, and those in the engine's record (complete or interrupted).

    With the program's own names, `down` works when the record is lost too.
    """
    groups, budgets = set(), set()
    if config.get("course"):
        given = naming.Names(subscription, config["course"], student)
        groups |= {given.resource_group, given.managed_resource_group}
        budgets.add(_budget(f"/subscriptions/{subscription}", given.budget))
    for resource in _recorded(state):
        inputs = resource.get("inputs") or {}
        if resource["type"] == "azure-native:resources:ResourceGroup":
            groups.add(str(inputs.get("resourceGroupName", "")).lower())
        elif resource["type"] == "azure-native:databricks:Workspace":
            groups.add(str(inputs.get("managedResourceGroupId", "")).rpartition("/")[2].lower())
        elif resource["type"] == "azure-native:consumption:Budget":
            budgets.add(_budget(str(inputs.get("scope")), str(inputs.get("budgetName"))))
    outputs = state.outputs if state else {}
    groups |= {str(outputs.get(key, "")).lower() for key in ("resourceGroup", "managedResourceGroup")}
    tags = {"student": student, **({"course": config["course"]} if config.get("course") else {})}
    return Names(frozenset(groups - {""}), tags, frozenset(budgets))


def delete_remaining(arm: Arm, names: Names) -> None:
    """Delete the groups and budgets that the engine has not deleted, above all the workspace's managed group.

    With Unity Catalog on, Azure leaves that group behind, with a storage account in it that costs money.
    """
    for group in arm.groups():
        if str(group["name"]).lower() in names.groups:
            arm.delete_group(group["name"])
    for budget in names.budgets:
        arm.delete(budget)


def leftovers(arm: Arm, names: Names) -> list[str]:
    """The ids of the groups, resources and budgets that are still there."""
    groups = [group["id"] for group in arm.groups() if _is_theirs(group, names)]
    resources = [one["id"] for one in arm.resources() if _is_theirs(one, names) or _group_of(one) in names.groups]
    budgets = [budget for budget in names.budgets if arm.exists(budget)]
    return sorted({*groups, *resources, *budgets})


def _budget(scope: str, name: str) -> str:
    return f"{scope}/providers/Microsoft.Consumption/budgets/{name}"


def _recorded(state: State | None) -> list[dict[str, Any]]:
    if state is None:
        return []
    return [*state.resources, *(one["resource"] for one in state.pending)]


def _is_theirs(thing: Mapping[str, Any], names: Names) -> bool:
    tags = thing.get("tags") or {}
    return str(thing["name"]).lower() in names.groups or all(
        tags.get(key) == value for key, value in names.tags.items()
    )


def _group_of(resource: Mapping[str, Any]) -> str:
    parts = str(resource["id"]).lower().split("/")
    return parts[parts.index("resourcegroups") + 1] if "resourcegroups" in parts else ""
