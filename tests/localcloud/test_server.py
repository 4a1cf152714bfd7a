"""The background process: one for a state folder, reachable by its token alone, and back after any end."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from localcloud.server import LocalCloud, StartError
from localcloud.settings import Settings

Endpoint = Callable[[Settings], dict[str, Any]]


@pytest.fixture
def running() -> Iterator[Callable[[Settings], subprocess.Popen[str]]]:
    """Starts `python -m localcloud` and waits until it announces itself."""
    with ExitStack() as stack:

        @contextmanager
        def started(settings: Settings) -> Iterator[subprocess.Popen[str]]:
            command = [sys.executable, "-m", "localcloud", "--state", str(settings.state), "--java", "java"]
            command += ["--spark-jars", str(settings.spark_jars), "--kafka-jars", str(settings.kafka_jars)]
            with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
                try:
                    assert process.stderr
                    for line in process.stderr:
                        if "ready" in line:
                            break
                    yield process
                finally:
                    process.kill()

        yield lambda settings: stack.enter_context(started(settings))


def client(settings: Settings, endpoint: Endpoint) -> httpx.Client:
    token = (settings.state / "token").read_text()
    return httpx.Client(base_url=endpoint(settings)["arm"], headers={"Authorization": f"Bearer {token}"})


def test_a_killed_cloud_comes_back_with_all_it_had_on_the_same_ports(
    settings: Settings, running: Callable[[Settings], subprocess.Popen[str]], endpoint: Endpoint
) -> None:
    first = running(settings)
    before = endpoint(settings)
    with client(settings, endpoint) as arm:
        (subscription,) = arm.get("/subscriptions").json()["value"]
        group = f"{subscription['id']}/resourceGroups/rg"
        assert arm.put(group, json={"location": "westeurope"}).status_code == 201
        workspace = {
            "location": "westeurope",
            "properties": {"computeMode": "Hybrid", "managedResourceGroupId": group + "-managed"},
        }
        id = f"{group}/providers/Microsoft.Databricks/workspaces/dbw-lab"
        assert arm.put(id, json=workspace).status_code == 201
    ((url, address),) = endpoint(settings)["workspaces"].items()
    assert httpx.get(f"{address}/.well-known/databricks-config").status_code == 200
    first.kill()
    first.wait()
    assert (settings.state / "endpoint.json").exists(), "a killed process can't tidy up"

    second = running(settings)
    after = endpoint(settings)
    assert after["pid"] == second.pid
    assert after["arm"] == before["arm"]
    assert after["providers"] == before["providers"]
    assert after["workspaces"] == {url: address}
    with client(settings, endpoint) as arm:
        assert arm.get(id).json()["properties"]["workspaceUrl"] == url
        assert arm.delete(group).status_code == 200
    assert endpoint(settings)["workspaces"] == {}

    second.send_signal(signal.SIGTERM)
    assert second.wait(20) == 0
    assert not (settings.state / "endpoint.json").exists()


def test_a_second_cloud_for_the_same_folder_says_who_is_there(
    settings: Settings, running: Callable[[Settings], subprocess.Popen[str]], endpoint: Endpoint
) -> None:
    running(settings)
    before = (settings.state / "endpoint.json").read_text()
    with (
        pytest.raises(StartError, match=rf"runs already \(process {endpoint(settings)['pid']}\)"),
        LocalCloud(settings),
    ):
        pass
    assert (settings.state / "endpoint.json").read_text() == before


def test_a_port_that_was_taken_meanwhile_is_replaced(settings: Settings, endpoint: Endpoint) -> None:
    with LocalCloud(settings):
        before = endpoint(settings)
    with socket.socket() as squatter, socket.socket() as other:
        squatter.bind(("127.0.0.1", before["providers"]["azure-native"]))
        squatter.listen()
        other.bind(("127.0.0.1", int(before["arm"].rsplit(":", 1)[1])))
        other.listen()
        with LocalCloud(settings):
            after = endpoint(settings)
            assert after["providers"]["azure-native"] != before["providers"]["azure-native"]
            assert httpx.get(after["arm"]).status_code == 401


def test_only_the_owner_can_read_the_state_and_only_the_token_opens_the_door(
    settings: Settings, endpoint: Endpoint
) -> None:
    old = os.umask(0)
    try:
        with LocalCloud(settings) as cloud:
            modes = {
                path.name: stat.S_IMODE(path.stat().st_mode) for path in settings.state.iterdir() if path.is_file()
            }
            assert stat.S_IMODE(settings.state.stat().st_mode) == 0o700
            assert set(modes.values()) == {0o600}, modes
            arm = endpoint(settings)["arm"]
            assert httpx.get(f"{arm}/subscriptions/x").json()["error"]["code"] == "AuthenticationFailed"
            wrong = httpx.get(f"{arm}/subscriptions/x", headers={"Authorization": "Bearer wrong"})
            assert wrong.status_code == 401
            assert cloud.token not in wrong.text
    finally:
        os.umask(old)


def test_a_folder_that_cannot_be_used_is_one_clear_sentence(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(StartError, match=r"the state folder .*state can't be used: "), LocalCloud(settings):
        pass


def test_a_start_that_fails_leaves_one_line_and_no_traceback(tmp_path: Path, settings: Settings) -> None:
    (settings.state / "cloud.db").mkdir(parents=True)
    command = [sys.executable, "-m", "localcloud", "--state", str(settings.state), "--java", "java"]
    command += ["--spark-jars", str(tmp_path), "--kafka-jars", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"localcloud: the state folder {settings.state} can't be used: ")
    with pytest.raises(OSError, match=r"cloud\.db"), LocalCloud(settings):
        pass
    (settings.state / "cloud.db").rmdir()
    with LocalCloud(settings):
        pass


def test_a_cloud_whose_announcement_was_removed_announces_itself_again(settings: Settings, endpoint: Endpoint) -> None:
    with LocalCloud(settings) as cloud:
        before = endpoint(settings)
        cloud.keep_up()
        (settings.state / "endpoint.json").unlink()
        cloud.keep_up()
        assert endpoint(settings) == before
    assert not (settings.state / "endpoint.json").exists()


def test_a_change_that_the_machine_cannot_follow_is_made_all_the_same_and_followed_later(
    settings: Settings, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with LocalCloud(settings) as cloud, client(settings, endpoint) as arm:
        group = f"/subscriptions/{cloud.arm.client_config()['subscriptionId']}/resourceGroups/rg"
        account = f"{group}/providers/Microsoft.Storage/storageAccounts/stlab"
        body = {"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
        arm.put(group, json={"location": "westeurope"})
        arm.put(account, json=body)
        with monkeypatch.context() as broken:
            broken.setattr("localcloud.storage.reconcile", full)
            made = arm.put(f"{account}/blobServices/default/containers/lab", json={})
            cloud.keep_up()
            assert made.status_code == 201, made.text
            assert cloud.problems() == [
                "Azure has changed, and the local cloud can't write its state: No space left on device"
            ]
        folder = settings.state / "storage" / "stlab" / "lab"
        assert not folder.exists()
        cloud.keep_up()
        assert folder.is_dir()
        assert cloud.problems() == []


def test_a_fault_behind_the_rest_api_is_answered_in_azures_form_and_logged_without_its_values(
    settings: Settings, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("-".join(("a", "secret", "value")))

    with LocalCloud(settings) as cloud, client(settings, endpoint) as arm:
        monkeypatch.setattr(cloud.arm, "list_groups", broken)
        answer = arm.get(f"/subscriptions/{cloud.arm.client_config()['subscriptionId']}/resourcegroups")
    assert answer.status_code == 500
    assert answer.json()["error"] == {
        "code": "InternalServerError",
        "message": "the local cloud failed (KeyError); its log says where",
    }
    assert "in broken" in caplog.text
    assert "a-secret-value" not in caplog.text


def test_a_token_that_others_could_read_becomes_private_and_an_empty_one_a_new_one(settings: Settings) -> None:
    settings.state.mkdir()
    path = settings.state / "token"
    for text in ("", "a-token"):
        path.write_text(text)
        path.chmod(0o644)
        with LocalCloud(settings) as cloud:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert cloud.token == path.read_text() != ""
            assert text in ("", cloud.token)


def test_the_rest_api_lists_what_is_left_and_speaks_in_azures_words(settings: Settings, endpoint: Endpoint) -> None:
    with LocalCloud(settings) as cloud, client(settings, endpoint) as arm:
        root = f"/subscriptions/{cloud.arm.client_config()['subscriptionId']}"
        arm.put(f"{root}/resourcegroups/rg", json={"location": "westeurope"})
        namespace = f"{root}/resourceGroups/rg/providers/Microsoft.EventHub/namespaces/ehns-lab"
        assert arm.put(namespace, json={"location": "westeurope"}).json()["properties"]["kafkaEnabled"]
        rule = f"{namespace}/eventhubs/events/authorizationRules/send"
        arm.put(f"{namespace}/eventhubs/events", json={})
        arm.put(rule, json={"properties": {"rights": ["Send"]}})
        assert arm.post(f"{rule}/listKeys").json()["keyName"] == "send"
        assert [one["id"] for one in arm.get("/subscriptions").json()["value"]] == [root]
        assert [one["name"] for one in arm.get(f"{root}/resourcegroups").json()["value"]] == ["rg"]
        for path in ("resources", "resourceGroups/rg/resources"):
            listed = arm.get(f"{root}/{path}", params={"api-version": "2024-03-01"}).json()["value"]
            assert [one["type"] for one in listed] == ["Microsoft.EventHub/namespaces"]
        assert [one["name"] for one in arm.get(f"{namespace}/eventhubs").json()["value"]] == ["events"]
        budgets = arm.get(f"{root}/resourceGroups/rg/providers/Microsoft.Consumption/budgets")
        assert budgets.json() == {"value": []}
        missing = arm.get(f"{root}/resourceGroups/none")
        assert missing.status_code == 404
        assert missing.json() == {
            "error": {"code": "ResourceGroupNotFound", "message": "Resource group 'none' could not be found."}
        }
        refused = arm.put(namespace, content=b"not json")
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "InvalidRequestContent")
        assert arm.delete(namespace).status_code == 200
        assert arm.delete(namespace).status_code == 204
        assert arm.delete(f"{root}/resourceGroups/none/providers/A.B/c/d").status_code == 404
        assert json.loads(arm.get("/subscriptions/other/resources").text)["error"]["code"] == "SubscriptionNotFound"
