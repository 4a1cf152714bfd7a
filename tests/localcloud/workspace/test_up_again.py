"""The lab's own program on the local cloud: what has not been edited is never changed."""

import functools
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pulumi import automation

from localcloud.server import LocalCloud
from localcloud.settings import Settings
from localcloud.workspace import Workspace, Workspaces
from tests.infra.conftest import make_checkout

_SETTINGS = {
    "streaming-lab:student": "ada",
    "streaming-lab:ownerEmail": "teacher@example.com",
    "streaming-lab:expiresOn": "2027-06-30",
}
_BY_KEY = {"streaming-lab:storageAccess": "key"}
_FOR_A_STUDENT = {"streaming-lab:studentEmail": "ada@example.com"}
# A wheel's path has its content's hash, so new code replaces the file and changes both jobs.
_NEW_CODE = {"replace wheel", "update exercises", "update live"}


@pytest.fixture
def cloud(settings: Settings, drivers: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCloud]:
    monkeypatch.setattr("localcloud.server.Workspaces", functools.partial(Workspaces, make_driver=drivers))
    with LocalCloud(settings) as cloud:
        yield cloud


class Lab:
    """A stack of the program in a small checkout."""

    def __init__(self, machine: Any, root: Path) -> None:
        self.root = root
        self._stack = machine.stack(lambda: runpy.run_path(str(root / "__main__.py")) and None)
        self.configure(_SETTINGS)

    def configure(self, settings: dict[str, str]) -> None:
        self._stack.set_all_config({key: automation.ConfigValue(value) for key, value in settings.items()})

    def edit(self, path: str) -> None:
        with (self.root / path).open("a") as file:
            file.write("# edited\n")

    def up(self) -> set[str]:
        return self._changes(self._stack.up)

    def refresh(self) -> set[str]:
        return self._changes(self._stack.refresh)

    def _changes(self, command: Callable[..., Any]) -> set[str]:
        """What the engine did, beside leaving resources as they are: `update cluster`."""
        steps: set[str] = set()

        def collect(event: automation.EngineEvent) -> None:
            if event.res_outputs_event:
                metadata = event.res_outputs_event.metadata
                steps.add(f"{metadata.op.value} {metadata.urn.rpartition('::')[2]}")

        command(on_event=collect)
        return {step for step in steps if step.split()[0] in ("create", "update", "replace", "delete")}


@pytest.fixture
def lab(cloud: LocalCloud, settings: Settings, engine: Any, endpoint: Any, tmp_path: Path) -> Lab:
    return Lab(engine(endpoint(settings)["providers"]), make_checkout(tmp_path / "checkout"))


def _workspace(cloud: LocalCloud) -> Workspace:
    found = cloud.workspaces.get(cloud.workspaces.urls()[0])
    assert found
    return found


@pytest.mark.parametrize(
    "more", [{}, _FOR_A_STUDENT, _BY_KEY, _BY_KEY | _FOR_A_STUDENT], ids=["own", "student", "own-key", "student-key"]
)
def test_a_second_up_and_a_refresh_change_nothing(cloud: LocalCloud, lab: Lab, more: dict[str, str]) -> None:
    lab.configure(more)
    assert "create cluster" in lab.up()
    assert lab.up() == set()
    assert lab.refresh() == set()
    (cluster,) = _workspace(cloud).clusters.all()
    assert _workspace(cloud).clusters.is_pinned(cluster["cluster_id"])
    assert not [
        event for event in _workspace(cloud).clusters.events(cluster["cluster_id"]) if event["type"] == "EDITED"
    ]


def rotate_storage_key(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer another account key from now on."""
    list_keys = cloud.arm.list_keys

    def rotated(id: str) -> dict[str, Any]:
        answer = list_keys(id)
        if "/storageaccounts/" in id.lower():
            answer["keys"][0]["value"] = "rotated"
        return answer

    monkeypatch.setattr(cloud.arm, "list_keys", rotated)


def test_each_edit_changes_what_was_edited_and_nothing_later(
    cloud: LocalCloud, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.configure(_BY_KEY)
    lab.up()

    lab.configure({"streaming-lab:autoterminationMinutes": "45"})
    # The policy's limit is the cluster's own.
    assert lab.up() == {"update cluster", "update policy"}
    lab.configure({"streaming-lab:exercisesCron": "0 0 7 ? * MON"})
    assert lab.up() == {"update exercises"}
    lab.edit("notebooks/01_concepts.py")
    assert lab.up() == {"update 01_concepts"}
    lab.edit("jobs/streaming_lab/generate.py")
    assert lab.up() == _NEW_CODE
    rotate_storage_key(cloud, monkeypatch)
    assert lab.up() == {"replace storage-key"}
    workspace = _workspace(cloud)
    assert workspace.secrets.get("streaming-lab-ada", "storage-key", workspace.developer) == b"rotated"
    assert lab.up() == set()
    assert lab.refresh() == set()
