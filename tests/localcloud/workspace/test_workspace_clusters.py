"""Clusters: what is refused, what they start with, and when they stop."""

import sqlite3
import threading
from collections.abc import Callable
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import PermissionDenied

from localcloud.arm import Arm
from localcloud.cluster import DriverError
from localcloud.errors import DatabricksError
from localcloud.settings import Settings
from localcloud.store import Store
from localcloud.workspace import Caller, Workspace, Workspaces
from localcloud.workspace.mounts import StartError

Body = dict[str, Any]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"node_type_id": "Standard_D99_v9"},
            r"Node type Standard_D99_v9 is not supported. Supported node types: Standard_",
        ),
        ({"node_type_id": None}, "Missing required field 'node_type_id'"),
        ({"spark_version": None}, "Missing required field 'spark_version'"),
        ({"spark_version": "9.9.x"}, "Invalid spark version 9.9.x"),
        ({"autotermination_minutes": 9}, "must be 0 or between 10 and 10000 minutes, not 9"),
        ({"autotermination_minutes": 10001}, "must be 0 or between 10 and 10000 minutes, not 10001"),
        (
            {"spark_conf": {"spark.databricks.cluster.profile": "singleNode"}},
            r"Spark Conf: `spark.databricks.cluster.profile` is not allowed when choosing an access mode",
        ),
        ({"data_security_mode": "PRIVATE"}, "data_security_mode 'PRIVATE' is none of"),
        ({"kind": None, "num_workers": 1}, "is_single_node can only be used with kind CLASSIC_PREVIEW"),
        ({"num_workers": 2}, "A cluster with is_single_node has no workers"),
        ({"is_single_node": None}, "Missing required field: size"),
        ({"is_single_node": None, "num_workers": 0}, "num_workers could be 0 only for single-node clusters"),
        ({"is_single_node": None, "autoscale": {"min_workers": 3, "max_workers": 2}}, "min_workers <= max_workers"),
        ({"data_security_mode": "USER_ISOLATION", "single_user_name": "a@b.c"}, "single_user_name can only be set"),
        ({"single_user_name": "eve@example.com"}, r"user eve@example.com does not exist"),
        ({"azure_attributes": {"availability": "CHEAP"}}, "availability 'CHEAP' is none of"),
        ({"azure_attributes": {"first_on_demand": 0}}, "first_on_demand must be at least 1, not 0"),
        ({"spark_env_vars": {"1X": "y"}}, "'1X' is no name of an environment variable"),
        ({"init_scripts": [{"workspace": {"destination": "/a"}}]}, "'init_scripts' is not supported by the local"),
        ({"policy_id": "0000"}, "Cluster policy 0000 does not exist"),
    ],
)
def test_a_cluster_that_breaks_a_rule_is_refused(
    workspace: Workspace, single_node: Body, change: Body, text: str
) -> None:
    with pytest.raises(DatabricksError, match=text):
        workspace.clusters.create({**single_node, **change}, workspace.developer)
    assert not workspace.clusters.all()


def test_the_legacy_single_node_form_is_accepted(workspace: Workspace) -> None:
    legacy = {
        "spark_version": "17.3.x-scala2.13",
        "node_type_id": "Standard_DS3_v2",
        "num_workers": 0,
        "spark_conf": {"spark.databricks.cluster.profile": "singleNode", "spark.master": "local[*]"},
        "custom_tags": {"ResourceClass": "SingleNode"},
    }
    assert workspace.clusters.create(legacy, workspace.developer, start=False)["state"] == "TERMINATED"


def test_a_stopped_cluster_starts_when_a_run_needs_it(
    cluster: str, drivers: Any, job: Any, task: Any, run: Any, workspace: Workspace
) -> None:
    assert not drivers.made
    assert run(job(task("generate")))["state"]["result_state"] == "SUCCESS"
    assert len(drivers.made) == 1
    assert workspace.clusters.get(cluster)["state"] == "RUNNING"


def test_an_idle_cluster_stops_after_its_minutes_and_a_busy_one_does_not(
    workspace: Workspace,
    workspaces: Workspaces,
    cluster: str,
    drivers: Any,
    clock: Any,
    job: Any,
    task: Any,
    finished: Any,
) -> None:
    drivers.behaviour["generate"] = "wait"
    started = workspace.runs.run_now(job(task("generate")), workspace.developer)
    handle = drivers.task("generate")
    clock.advance(hours=5)
    workspaces.check()
    assert workspace.clusters.get(cluster)["state"] == "RUNNING", "a task runs on it"
    handle.finish()
    finished(started["run_id"])
    clock.advance(minutes=29)
    workspaces.check()
    assert workspace.clusters.get(cluster)["state"] == "RUNNING"
    clock.advance(minutes=1)
    workspaces.check()
    stopped = workspace.clusters.get(cluster)
    assert (stopped["state"], stopped["termination_reason"]["code"]) == ("TERMINATED", "INACTIVITY")
    assert stopped["state_message"] == "Inactive cluster terminated (inactive for 30 minutes)."
    assert not drivers.made[0].alive


def test_a_cluster_without_auto_termination_goes_on(
    workspace: Workspace, workspaces: Workspaces, single_node: Body, clock: Any
) -> None:
    made = workspace.clusters.create({**single_node, "autotermination_minutes": 0}, workspace.developer)
    clock.advance(hours=1000)
    workspaces.check()
    assert workspace.clusters.get(made["cluster_id"])["state"] == "RUNNING"


def test_a_driver_that_dies_is_noticed_and_the_next_run_starts_another(
    workspace: Workspace, workspaces: Workspaces, single_node: Body, drivers: Any
) -> None:
    cluster = workspace.clusters.create(single_node, workspace.developer)["cluster_id"]
    drivers.made[0].die()
    workspaces.check()
    found = workspace.clusters.get(cluster)
    assert (found["state"], found["termination_reason"]["code"]) == ("TERMINATED", "DRIVER_UNREACHABLE")
    workspace.clusters.start(cluster, workspace.developer)
    assert workspace.clusters.get(cluster)["state"] == "RUNNING"
    assert len(drivers.made) == 2


def test_a_cluster_whose_spark_does_not_start_says_why(workspace: Workspace, single_node: Body, drivers: Any) -> None:
    drivers.refuse_to_start = "Java 8 is too old"
    cluster = workspace.clusters.create(single_node, workspace.developer)
    assert cluster["state"] == "TERMINATED"
    assert cluster["state_message"] == "Spark failed to start: Java 8 is too old"


class Unready:
    """A driver that is never up. It starts until it is stopped, or fails at once."""

    alive = False
    ui = None

    def __init__(self, failure: OSError | None = None) -> None:
        self.failure = failure
        self.began, self.stopped = threading.Event(), threading.Event()

    def start(self) -> None:
        self.began.set()
        if self.failure:
            raise self.failure
        assert self.stopped.wait(20)
        raise DriverError("it was stopped")

    def stop(self) -> None:
        self.stopped.set()


def test_a_cluster_whose_start_meets_a_full_disk_says_why(
    workspace: Workspace, single_node: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(workspace.drivers, "_make", lambda *_: Unready(full))
    cluster = workspace.clusters.create(single_node, workspace.developer)
    assert (cluster["state"], cluster["termination_reason"]["code"]) == ("TERMINATED", "DRIVER_UNREACHABLE")
    assert "No space left on device" in cluster["state_message"]


def test_a_cluster_is_stopped_while_it_starts(
    workspace: Workspace, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Unready()
    monkeypatch.setattr(workspace.drivers, "_make", lambda *_: driver)
    thread = threading.Thread(target=workspace.clusters.start, args=(cluster, workspace.developer))
    thread.start()
    assert driver.began.wait(20)
    assert workspace.clusters.get(cluster)["state"] == "PENDING"
    workspace.clusters.terminate(cluster, workspace.developer)
    thread.join(20)
    stopped = workspace.clusters.get(cluster)
    assert (stopped["state"], stopped["termination_reason"]["code"]) == ("TERMINATED", "USER_REQUEST")
    assert stopped["state_message"] == "Terminated by user"


def test_spark_ends_also_when_its_end_cannot_be_recorded_and_that_is_made_good(
    workspace: Workspace, workspaces: Workspaces, single_node: Body, drivers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    cluster = workspace.clusters.create(single_node, workspace.developer)["cluster_id"]
    with monkeypatch.context() as disk, pytest.raises(sqlite3.OperationalError):
        disk.setattr(Store, "put", full)
        workspace.drivers.stop(cluster, "USER_REQUEST", "Terminated by user")
    assert not drivers.made[0].alive
    workspaces.check()
    assert workspace.clusters.get(cluster)["state"] == "TERMINATED"


def test_all_clusters_are_stopped_at_the_same_time_and_none_starts_after(
    workspace: Workspace, single_node: Body, drivers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(3, timeout=20)
    clusters = [workspace.clusters.create(single_node, workspace.developer)["cluster_id"] for _ in range(3)]
    for driver in drivers.made:
        monkeypatch.setattr(driver, "stop", together.wait)
    workspace.drivers.close()
    with pytest.raises(StartError, match="The local cloud was stopped"):
        workspace.drivers.start(clusters[0])


def test_a_new_driver_finds_nothing_of_the_one_before(
    workspace: Workspace, cluster: str, drivers: Any, settings: Settings
) -> None:
    left = settings.state / "clusters" / cluster / "local" / "blockmgr"
    left.mkdir(parents=True)
    workspace.drivers.start(cluster)
    assert not left.exists()


def test_an_edit_restarts_a_running_cluster_and_leaves_a_stopped_one(
    workspace: Workspace, single_node: Body, drivers: Any, cluster: str
) -> None:
    workspace.clusters.edit(cluster, {**single_node, "cluster_name": "new"}, workspace.developer)
    assert workspace.clusters.get(cluster)["state"] == "TERMINATED"
    workspace.clusters.start(cluster, workspace.developer)
    workspace.clusters.edit(cluster, {**single_node, "spark_conf": {"spark.x": "1"}}, workspace.developer)
    assert [driver.alive for driver in drivers.made] == [False, True]
    assert drivers.made[1].spec.spark_conf == {"spark.x": "1"}
    workspace.clusters.terminate(cluster, workspace.developer)
    with pytest.raises(DatabricksError, match="is in unexpected state Terminated"):
        workspace.clusters.restart(cluster, workspace.developer)


def test_secrets_are_resolved_when_the_cluster_starts_and_never_kept(
    workspace: Workspace, single_node: Body, drivers: Any
) -> None:
    workspace.secrets.create_scope("lab", workspace.developer)
    workspace.secrets.put("lab", "key", b"value-1", workspace.developer)
    body = {
        **single_node,
        "spark_conf": {"spark.lab.key": "{{secrets/lab/key}}"},
        "spark_env_vars": {"KEY": "<{{secrets/lab/key}}>"},
    }
    cluster = workspace.clusters.create(body, workspace.developer)
    assert drivers.made[0].spec.spark_conf == {"spark.lab.key": "value-1"}
    assert drivers.made[0].spec.env == {"KEY": "<value-1>"}
    assert "value-1" not in str(workspace.clusters.get(cluster["cluster_id"]))


def test_a_secret_that_is_deleted_matters_at_the_next_start_alone(
    workspace: Workspace, single_node: Body, drivers: Any
) -> None:
    workspace.secrets.create_scope("lab", workspace.developer)
    workspace.secrets.put("lab", "key", b"value-1", workspace.developer)
    body = {**single_node, "spark_conf": {"spark.lab.key": "{{secrets/lab/key}}"}}
    cluster = workspace.clusters.create(body, workspace.developer)["cluster_id"]
    workspace.secrets.delete("lab", "key", workspace.developer)
    assert workspace.drivers.start(cluster) is drivers.made[0]
    workspace.clusters.terminate(cluster, workspace.developer)
    with pytest.raises(StartError, match="Could not resolve"):
        workspace.drivers.start(cluster)


def test_a_cluster_with_a_reference_to_no_secret_does_not_start(workspace: Workspace, single_node: Body) -> None:
    body = {**single_node, "spark_conf": {"spark.lab.key": "{{secrets/lab/key}}"}}
    cluster = workspace.clusters.create(body, workspace.developer)
    assert cluster["termination_reason"]["code"] == "SECRET_RESOLUTION_ERROR"
    assert cluster["state_message"] == "Could not resolve {{secrets/lab/key}}: Scope lab does not exist"


def test_an_account_key_in_the_conf_mounts_all_its_containers_and_never_reaches_spark(
    workspace: Workspace, single_node: Body, drivers: Any, storage: str, settings: Settings
) -> None:
    workspace.secrets.create_scope("lab", workspace.developer)
    name = "fs.azure.account.key.stlab.dfs.core.windows.net"
    for value, mounted in ((storage.encode(), {"lab", "other"}), (b"wrong", set())):
        workspace.secrets.put("lab", "storage-key", value, workspace.developer)
        body = {**single_node, "spark_conf": {name: "{{secrets/lab/storage-key}}", "spark.x": "1"}}
        workspace.clusters.create(body, workspace.developer)
        spec = drivers.made[-1].spec
        assert spec.mounts == {
            f"{container}@stlab.dfs.core.windows.net": settings.state / "storage" / "stlab" / container
            for container in mounted
        }
        assert spec.spark_conf == {"spark.x": "1"}


def test_an_external_location_mounts_its_container_for_those_who_may_use_it(
    workspace: Workspace, single_node: Body, drivers: Any, storage: str, connector: str, arm: Arm, group: str
) -> None:
    developer = workspace.developer
    workspace.people.create({"userName": "ada@example.com"})
    identity = {"access_connector_id": connector}
    workspace.catalog.create_credential({"name": "cred", "azure_managed_identity": identity}, developer)
    url = "abfss://lab@stlab.dfs.core.windows.net/"
    location = {"name": "loc", "url": url, "credential_name": "cred", "skip_validation": True}
    workspace.catalog.create_location(location, developer)
    body = {**single_node, "single_user_name": "ada@example.com"}
    cluster = workspace.clusters.create(body, developer)["cluster_id"]

    def mounted() -> list[str]:
        workspace.drivers.start(cluster)
        return list(drivers.made[-1].spec.mounts)

    both = [{"principal": "ada@example.com", "add": ["READ_FILES", "WRITE_FILES"]}]
    assert mounted() == [], "neither the identity nor the user may"
    workspace.catalog.change_grants("external_location", "loc", both, developer)
    assert mounted() == [], "the connector has no role"
    scope = f"{group}/providers/Microsoft.Storage/storageAccounts/stlab"
    document = arm.get(connector)
    assert document
    arm.put(
        f"{scope}/providers/Microsoft.Authorization/roleAssignments/7f1f1c1e-0000-4000-8000-000000000001",
        {
            "properties": {
                "roleDefinitionId": "/providers/Microsoft.Authorization/roleDefinitions/"
                "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
                "principalId": document["identity"]["principalId"],
                "principalType": "ServicePrincipal",
            }
        },
    )
    assert mounted() == ["lab@stlab.dfs.core.windows.net"], "a new right takes effect at the next start of a task"
    workspace.catalog.update_location("loc", {"isolation_mode": "ISOLATION_MODE_ISOLATED"}, developer)
    assert mounted() == [], "it is bound to no workspace"
    for bound, seen in (("1", []), (workspace.workspace_id, ["lab@stlab.dfs.core.windows.net"])):
        workspace.catalog.change_bindings("external_location", "loc", [{"workspace_id": bound}], [], developer)
        assert mounted() == seen
    taken = [{"principal": "ada@example.com", "remove": ["WRITE_FILES"]}]
    workspace.catalog.change_grants("external_location", "loc", taken, developer)
    assert mounted() == []


def test_code_on_a_cluster_has_the_rights_of_the_clusters_user(
    workspace: Workspace, single_node: Body, drivers: Any, student_client: Callable[[str], WorkspaceClient]
) -> None:
    developer = workspace.developer
    workspace.people.create({"userName": "ada@example.com"})
    workspace.secrets.create_scope("lab", developer)
    workspace.secrets.put("lab", "key", b"value", developer)
    cluster = workspace.clusters.create({**single_node, "single_user_name": "ada@example.com"}, developer)
    assert workspace.drivers.caller("Zugangsschlüssel") is None
    ada = student_client(drivers.made[0].spec.token)
    assert ada.current_user.me().user_name == "ada@example.com"
    with pytest.raises(PermissionDenied, match="does not have READ permission on scope lab"):
        ada.dbutils.secrets.get("lab", "key")
    workspace.secrets.put_acl("lab", "ada@example.com", "READ", developer)
    assert ada.dbutils.secrets.get("lab", "key") == "value"
    with pytest.raises(PermissionDenied, match="does not have WRITE permission on scope lab"):
        ada.secrets.put_secret("lab", "key", string_value="other")
    with pytest.raises(PermissionDenied, match="You are not authorized to create clusters"):
        ada.clusters.create(spark_version="18.x-scala2.13", node_type_id="Standard_D4ds_v5", num_workers=1)
    workspace.clusters.terminate(cluster["cluster_id"], developer)
    with pytest.raises(Exception, match="Credential was not sent"):
        ada.current_user.me()


def test_a_policys_rules_are_enforced(workspace: Workspace, single_node: Body) -> None:
    developer = workspace.developer
    definition = """{
        "node_type_id": {"type": "fixed", "value": "Standard_D4ds_v5"},
        "driver_node_type_id": {"type": "forbidden"},
        "spark_version": {"type": "allowlist", "values": ["18.x-scala2.13"]},
        "autotermination_minutes": {"type": "range", "minValue": 10, "maxValue": 60, "defaultValue": 20},
        "custom_tags.course": {"type": "fixed", "value": "dp-203"},
        "cluster_name": {"type": "regex", "pattern": "lab.*"},
        "runtime_engine": {"type": "blocklist", "values": ["PHOTON"]},
        "dbus_per_hour": {"type": "range", "maxValue": 1},
        "spark_conf.spark.x": {"type": "unlimited", "isOptional": true}
    }"""
    policy = workspace.policies.create({"name": "lab", "definition": definition, "max_clusters_per_user": 1}, developer)
    body = {**single_node, "policy_id": policy["policy_id"]}
    for change, text in (
        (
            {"node_type_id": "Standard_D8ds_v5"},
            r'node_type_id, the value must be Standard_D4ds_v5 \(is "Standard_D8ds_v5"\)',
        ),
        ({"driver_node_type_id": "Standard_D4ds_v5"}, "driver_node_type_id, the value must not be present"),
        ({"spark_version": "17.3.x-scala2.13"}, "spark_version, the value must be one of 18.x-scala2.13"),
        ({"autotermination_minutes": 61}, r'the value must be at most 60 \(is "61"\)'),
        ({"autotermination_minutes": None}, "autotermination_minutes, the value must be present"),
        ({"cluster_name": "mine"}, r"cluster_name, the value must match lab.\*"),
        ({"runtime_engine": "PHOTON"}, "runtime_engine, the value must not be one of PHOTON"),
        ({"num_workers": 3, "is_single_node": None}, "dbus_per_hour, the value must be at most 1"),
    ):
        with pytest.raises(DatabricksError, match=f"Cluster validation error: Validation failed for .*{text}"):
            workspace.clusters.create({**body, **change}, developer)
    defaults = {"node_type_id": None, "autotermination_minutes": None, "apply_policy_default_values": True}
    made = workspace.clusters.create({**body, **defaults}, developer, start=False)
    assert made["node_type_id"] == "Standard_D4ds_v5"
    assert made["autotermination_minutes"] == 20
    assert made["custom_tags"]["course"] == "dp-203"
    with pytest.raises(DatabricksError, match=r"reached the limit of 1 cluster\(s\)"):
        workspace.clusters.create(body, developer)
    with pytest.raises(DatabricksError, match="at most 60"):
        workspace.clusters.edit(made["cluster_id"], {**body, "autotermination_minutes": 90}, developer)


@pytest.mark.parametrize(
    ("definition", "text"),
    [
        ("{", "Invalid JSON given in the 'definition' field"),
        ("[]", "must be a JSON object"),
        ('{"nodetype": {"type": "forbidden"}}', "unknown attribute 'nodetype'"),
        ('{"node_type_id": {"type": "equals"}}', "must have a type out of fixed, forbidden"),
        ('{"node_type_id": {"type": "fixed"}}', "rule 'fixed' of 'node_type_id' must have 'value'"),
        ('{"num_workers": {"type": "range"}}', "must have 'minValue' or 'maxValue'"),
        ('{"cluster_name": {"type": "regex", "pattern": "("}}', "is no regular expression"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(workspace: Workspace, definition: str, text: str) -> None:
    with pytest.raises(DatabricksError, match=text):
        workspace.policies.create({"name": "lab", "definition": definition}, workspace.developer)


def test_a_policys_name_is_unique_and_only_administrators_write_policies(workspace: Workspace) -> None:
    workspace.policies.create({"name": "lab", "definition": "{}"}, workspace.developer)
    with pytest.raises(DatabricksError, match="Policy with name 'lab' already exists"):
        workspace.policies.create({"name": "lab", "definition": "{}"}, workspace.developer)
    with pytest.raises(DatabricksError, match="not authorized to create or change cluster policies"):
        workspace.policies.create({"name": "mine", "definition": "{}"}, Caller("ada@example.com"))
