"""What the engine has recorded of a stack, read without an engine where that is possible."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.errors import LabError

if TYPE_CHECKING:
    from lab.clouds import Cloud
    from lab.project import Project


# What Pulumi writes in the place of a value that it doesn't know (sdk/go/common/resource/plugin: UnknownStringValue).
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


@dataclass(frozen=True)
class State:
    """What the engine has recorded of a stack.

    resources: the deployment's resources, as in `pulumi stack export`
    pending: operations that were under way when an earlier engine was killed
    """

    resources: list[dict[str, Any]]
    pending: list[dict[str, Any]]

    @property
    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, without those that a partial `up` left unknown; empty before the first `up`."""
        roots = (resource for resource in self.resources if resource["type"] == "pulumi:pulumi:Stack")
        outputs = next(roots, {}).get("outputs") or {}
        return {key: value for key, value in outputs.items() if value != UNKNOWN}

    @property
    def own(self) -> list[dict[str, Any]]:
        """The resources that exist in a cloud: no components, providers, or the stack itself."""
        return [one for one in self.resources if one.get("custom") and not one["type"].startswith("pulumi:")]


def read(project: Project, cloud: Cloud, student: str) -> State | None:
    """The record of a student's stack, or None when there is no such stack; raises LabError when it can't be read."""
    backend = cloud.backend()
    if backend is None:
        from lab.engine import Engine

        deployment = Engine(project, cloud, student).export()
    else:
        # Reading a file backend's checkpoint saves a CLI call, and works while no engine can run.
        file = backend / ".pulumi" / "stacks" / project.name / f"{student}.json"
        try:
            deployment = json.loads(file.read_text(encoding="utf-8"))["checkpoint"].get("latest") or {}
        except FileNotFoundError:
            deployment = None
        except ValueError:
            # The engine writes it whole or not at all, unless the disk is full.
            raise LabError(
                "state",
                f"{file} is damaged",
                f"Delete it, then run lab down: it asks the cloud itself what there is of {student}.",
            ) from None
    if deployment is None:
        return None
    return State(deployment.get("resources") or [], deployment.get("pending_operations") or [])
