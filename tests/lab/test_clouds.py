"""Getting into the two clouds."""

import json
import os
import shutil
import stat
import sys
from types import SimpleNamespace

import pytest

from lab.clouds import AzureCloud, LocalCloud
from lab.errors import LabError
from lab.locks import held
from lab.recovery import ARM_IDS, arm_id
from lab.report import Silent


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


def test_azure_takes_its_own_time(project):
    with pytest.raises(LabError, match="--latencies: it is for rehearsals on the local cloud") as refused:
        AzureCloud(project).rehearse(1)
    assert refused.value.code == 2


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


@pytest.fixture
def cloud(project, monkeypatch):
    """A local cloud with a student's data whose background process lives, and says that there is no group."""
    cloud = LocalCloud(project)
    for file in ("cloud.db", "token", "storage/stada/lab/part-0", "local/overrides/ada.json", "kept/ada-1/part-0"):
        (project.state / file).parent.mkdir(parents=True, exist_ok=True)
        (project.state / file).write_text("x")
    monkeypatch.setattr(cloud, "_running", lambda: {"pid": 0})
    monkeypatch.setattr(cloud, "arm", lambda: SimpleNamespace(groups=list))
    monkeypatch.setattr(cloud, "stop", lambda: None)
    return cloud


def left_in(state):
    return {path.name for path in state.iterdir()}


def test_an_empty_cloud_is_removed_but_for_kept_data_and_locks(cloud):
    assert cloud.release(Silent())
    assert left_in(cloud.state) == {"kept", "locks"}


def test_a_cloud_that_does_not_answer_is_not_taken_for_an_empty_one(cloud, monkeypatch):
    def throttled():
        raise LabError("azure", "too many requests (429)")

    before = left_in(cloud.state) | {"locks"}
    monkeypatch.setattr(cloud, "arm", lambda: SimpleNamespace(groups=throttled))
    assert not cloud.release(Silent())
    monkeypatch.setattr(cloud, "arm", lambda: SimpleNamespace(groups=list))
    monkeypatch.setattr(cloud, "_running", lambda: None)
    assert not cloud.release(Silent())
    assert left_in(cloud.state) == before


def test_an_empty_cloud_stays_while_somebody_works_on_another_stack(cloud):
    with held(cloud.state / "locks" / "ada on the local cloud.lock", "lab up", Silent()):
        assert not cloud.release(Silent())
    with held(cloud.state / "locks" / "ada on Azure.lock", "lab up", Silent()):
        assert cloud.release(Silent())


@pytest.mark.parametrize("at", ["storage", "cloud.db-wal"])
def test_a_removal_that_was_cut_off_is_finished_by_the_next(cloud, monkeypatch, at):
    (cloud.state / "cloud.db-wal").mkdir()  # a folder, so that one function removes what it is cut off at
    remove = shutil.rmtree

    def cut_off(path, **options):
        if path.name == at:
            raise KeyboardInterrupt
        remove(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", cut_off)
        with pytest.raises(KeyboardInterrupt):
            cloud.release(Silent())
    with monkeypatch.context() as patch:
        patch.setattr(cloud, "_running", lambda: None)
        assert cloud.in_use()
    assert cloud.release(Silent())
    assert left_in(cloud.state) == {"kept", "locks"}
