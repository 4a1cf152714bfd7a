"""Getting into the two clouds."""

import json
import os
import stat
import sys

import pytest

from lab.clouds import AzureCloud, LocalCloud
from lab.errors import LabError
from lab.leftovers import Names, delete_remaining, leftovers, names_of
from lab.recovery import ARM_IDS, arm_id
from lab.report import Silent
from lab.state import State


@pytest.fixture
def az(monkeypatch, tmp_path):
    """A stand-in for the Azure CLI: says what it is told to say."""

    def install(says, code=0):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "says").write_text(says)
        script = folder / "az"
        script.write_text(f'#!/bin/sh\ncat "{folder}/says"\nexit {code}\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")

    return install


def test_azure_without_the_cli_says_to_install_it(project, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match="the Azure CLI \\(az\\) is not on PATH"):
        AzureCloud(project).prepare(Silent())


def test_azure_without_a_sign_in_says_to_sign_in(project, az):
    az("", code=1)
    with pytest.raises(LabError, match="not signed in") as refused:
        AzureCloud(project).prepare(Silent())
    assert "az login" in refused.value.advice


def test_a_disabled_subscription_is_refused(project, az):
    az(json.dumps({"id": "s", "name": "trial", "state": "Disabled"}))
    with pytest.raises(LabError, match="subscription trial is disabled"):
        AzureCloud(project).prepare(Silent())


def test_the_signed_in_subscription_is_the_engines(project, az):
    az(json.dumps({"id": "0000-1", "name": "course", "state": "Enabled"}))
    cloud = AzureCloud(project)
    cloud.prepare(Silent())
    assert cloud.engine_env()["ARM_SUBSCRIPTION_ID"] == "0000-1"
    assert "PULUMI_BACKEND_URL" not in cloud.engine_env()


def test_a_shell_of_the_local_cloud_cannot_deploy_to_azure(project, az, monkeypatch):
    monkeypatch.setenv("STREAMING_LAB_SHELL", "local")
    with pytest.raises(LabError, match="this shell is set up for the local cloud"):
        AzureCloud(project).prepare(Silent())


def test_a_local_cloud_that_does_not_start_is_told_in_its_last_words(project, monkeypatch, tmp_path):
    import toolchain

    project.state.mkdir()
    monkeypatch.setattr(toolchain, "java", lambda: tmp_path)
    monkeypatch.setattr(toolchain, "jars", lambda _: tmp_path)
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'localcloud: port 4711 is in use' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(LabError, match="it did not start: localcloud: port 4711 is in use") as refused:
        LocalCloud(project).prepare(Silent())
    assert "cloud.log" in refused.value.advice


def test_a_missing_tool_is_told_before_anything_starts(project, monkeypatch):
    import toolchain

    def missing():
        raise toolchain.ToolMissing("Java 17 or 21 is needed, and PATH has Java 8.")

    project.state.mkdir()
    monkeypatch.setattr(toolchain, "java", missing)
    with pytest.raises(LabError, match="Java 17 or 21 is needed"):
        LocalCloud(project).prepare(Silent())
    assert not (project.state / "cloud.log").exists()


class FakeArm:
    subscription = "s"

    def __init__(self, groups, resources, budgets=()):
        self._groups = groups
        self._resources = resources
        self.budgets = set(budgets)

    def groups(self):
        return self._groups

    def resources(self):
        return self._resources

    def delete(self, resource_id):
        self.budgets.discard(resource_id)

    def exists(self, resource_id):
        return resource_id in self.budgets

    def delete_group(self, name):
        self._groups = [group for group in self._groups if group["name"] != name]
        self._resources = [one for one in self._resources if f"/{name}/".lower() not in one["id"].lower()]


def group(name, **tags):
    return {"id": f"/subscriptions/s/resourceGroups/{name}", "name": name, "tags": tags}


def test_the_managed_group_that_outlives_its_workspace_is_deleted_and_others_stay():
    names = Names(frozenset({"rg-dev", "rg-dev-managed"}), {"student": "dev", "course": "c"})
    kept = group("rg-ada", student="ada", course="c")
    storage = {"id": "/subscriptions/s/resourceGroups/RG-dev-managed/providers/M.S/storageAccounts/x", "name": "x"}
    arm = FakeArm([group("RG-dev-managed"), kept], [storage])
    assert leftovers(arm, names) == [arm.groups()[0]["id"], storage["id"]]
    delete_remaining(arm, names)
    assert leftovers(arm, names) == []
    assert arm.groups() == [kept]


def test_a_tagged_group_of_another_name_is_a_leftover_that_is_told_and_not_touched():
    names = Names(frozenset({"rg-dev"}), {"student": "dev", "course": "c"})
    strays = [group("by-hand", student="dev", course="c"), group("other-course", student="dev", course="d")]
    arm = FakeArm(strays, [])
    delete_remaining(arm, names)
    assert leftovers(arm, names) == [strays[0]["id"]]


BUDGET = "/subscriptions/s/providers/Microsoft.Consumption/budgets/budget-{}"


def test_names_are_the_programs_and_those_of_an_interrupted_first_up():
    pending = {
        "type": "creating",
        "resource": {
            "urn": "urn:x",
            "type": "azure-native:resources:ResourceGroup",
            "inputs": {"resourceGroupName": "RG-Earlier"},
        },
    }
    names = names_of("dev", State([], [pending]), {"course": "c"}, "s")
    groups = frozenset({"rg-earlier", "rg-c-dev", "rg-c-dev-databricks"})
    assert names == Names(groups, {"student": "dev", "course": "c"}, frozenset({BUDGET.format("c-dev")}))


def test_budgets_outside_the_groups_are_leftovers_until_they_are_deleted():
    inputs = {"scope": "/subscriptions/s", "budgetName": "budget-earlier"}
    names = names_of("dev", State([{"type": "azure-native:consumption:Budget", "inputs": inputs}], []), {}, "s")
    arm = FakeArm([], [], [BUDGET.format("earlier"), BUDGET.format("c-ada")])
    assert leftovers(arm, names) == [BUDGET.format("earlier")]
    delete_remaining(arm, names)
    assert leftovers(arm, names) == []
    assert arm.budgets == {BUDGET.format("c-ada")}


def test_ids_are_those_that_azure_gives():
    inputs = {"resourceGroupName": "rg", "namespaceName": "ns", "eventHubName": "hub", "authorizationRuleName": "send"}
    assert arm_id("azure-native:eventhub:EventHubAuthorizationRule", inputs, "s") == (
        "/subscriptions/s/resourceGroups/rg/providers/Microsoft.EventHub/namespaces/ns/eventhubs/hub/authorizationRules/send"
    )
    scope = "/subscriptions/s/resourceGroups/rg"
    assert arm_id("azure-native:consumption:Budget", {"scope": scope, "budgetName": "b"}, "s") == (
        f"{scope}/providers/Microsoft.Consumption/budgets/b"
    )
    assert arm_id("azure-native:storage:StorageAccount", {"resourceGroupName": "rg"}, "s") is None
    assert arm_id("databricks:index/job:Job", {"name": "exercises"}, "s") is None


def test_every_azure_type_that_the_program_makes_has_an_id():
    import re
    from pathlib import Path

    infra = Path(__file__).resolve().parents[2] / "infra"
    sources = [*infra.glob("*.py"), infra.parent / "__main__.py"]
    found = set()
    for source in sources:
        text = source.read_text()
        modules = re.findall(r"^from pulumi_azure_native import (.+)$", text, re.MULTILINE)
        for module in {name.strip() for line in modules for name in line.split(",")}:
            for kind in re.findall(rf"\b{module}\.([A-Z]\w+)\(", text):
                found.add(f"azure-native:{module}:{kind}")
    assert len(found) > 8
    assert found <= set(ARM_IDS)


def test_the_local_clouds_log_is_named_when_its_process_is_gone(project):
    with pytest.raises(LabError, match="background process is not running"):
        LocalCloud(project).arm()


def test_keeping_data_moves_the_accounts_folder(project):
    cloud = LocalCloud(project)
    folder = project.state / "storage" / "stdev" / "lab"
    folder.mkdir(parents=True)
    (folder / "part-0").write_text("row")
    kept = cloud.keep_data("dev", {"storageAccount": "stdev"})
    assert (kept / "lab" / "part-0").read_text() == "row"
    assert kept.name.startswith("dev-")
    assert not folder.exists()
