"""What the cloud itself still shows of a student: the certificate that `down` gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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


def names_of(student: str, state: State | None, config: Mapping[str, str]) -> Names:
    """The student's names, from the engine's record (complete or interrupted) and the configuration."""
    groups, budgets = set(), set()
    for resource in _recorded(state):
        inputs = resource.get("inputs") or {}
        if resource["type"] == "azure-native:resources:ResourceGroup":
            groups.add(str(inputs.get("resourceGroupName", "")).lower())
        elif resource["type"] == "azure-native:databricks:Workspace":
            groups.add(str(inputs.get("managedResourceGroupId", "")).rpartition("/")[2].lower())
        elif resource["type"] == "azure-native:consumption:Budget":
            budgets.add(f"{inputs.get('scope')}/providers/Microsoft.Consumption/budgets/{inputs.get('budgetName')}")
    outputs = state.outputs if state else {}
    groups |= {str(outputs.get(key, "")).lower() for key in ("resourceGroup", "managedResourceGroup")}
    tags = {"student": student, **({"course": config["course"]} if config.get("course") else {})}
    return Names(frozenset(groups - {""}), tags, frozenset(budgets))


def delete_remaining(arm: Arm, names: Names) -> None:
    """Delete the groups that outlive the program's own resources, above all the workspace's managed group.

    With Unity Catalog on, Azure leaves that group behind, with a storage account in it that costs money.
    """
    for group in arm.groups():
        if str(group["name"]).lower() in names.groups:
            arm.delete_group(group["name"])


def leftovers(arm: Arm, names: Names) -> list[str]:
    """The ids of the groups, resources and budgets that are still there."""
    groups = [group["id"] for group in arm.groups() if _is_theirs(group, names)]
    resources = [one["id"] for one in arm.resources() if _is_theirs(one, names) or _group_of(one) in names.groups]
    budgets = [budget for budget in names.budgets if arm.exists(budget)]
    return sorted({*groups, *resources, *budgets})


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
