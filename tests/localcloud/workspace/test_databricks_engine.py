"""The databricks provider under the real Pulumi engine."""

import base64
import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pulumi import automation

from localcloud.server import LocalCloud
from localcloud.settings import Settings
from localcloud.workspace import Workspace, Workspaces

_CONTRIBUTOR = "/providers/Microsoft.Authorization/roleDefinitions/ba92f5b4-2d11-453d-a403-e96b0029c9fe"
_STUDENT = "ada@example.com"


@pytest.fixture
def cloud(settings: Settings, drivers: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCloud]:
    monkeypatch.setattr("localcloud.server.Workspaces", functools.partial(Workspaces, make_driver=drivers))
    with LocalCloud(settings) as cloud:
        yield cloud


def _single_node(secret: Any, by_kind: bool) -> dict[str, Any]:
    conf = {"spark.lab.secret": secret.config_reference}
    if by_kind:
        return {"kind": "CLASSIC_PREVIEW", "is_single_node": True, "spark_conf": conf, "custom_tags": {"a": "b"}}
    profile = {"spark.databricks.cluster.profile": "singleNode", "spark.master": "local[*]"}
    return {"num_workers": 0, "spark_conf": conf | profile, "custom_tags": {"ResourceClass": "SingleNode"}}


def _lab(
    wheel: Path,
    *,
    minutes: int = 30,
    secret: str = "a-very-secret-value",
    cron: str = "0 0 6 ? * MON",
    by_kind: bool = False,
    create_secret_first: bool = False,
) -> Any:
    def program() -> None:
        import pulumi
        import pulumi_databricks as databricks
        from pulumi_azure_native import authorization, resources, storage
        from pulumi_azure_native import databricks as azure

        client = authorization.get_client_config_output()
        group = resources.ResourceGroup("group", resource_group_name="rg", location="westeurope")
        account = storage.StorageAccount(
            "account", resource_group_name=group.name, account_name="stlab", kind="StorageV2",
            sku={"name": "Standard_LRS"}, is_hns_enabled=True,
        )  # fmt: skip
        storage.BlobContainer(
            "container", resource_group_name=group.name, account_name=account.name, container_name="lab"
        )
        workspace = azure.Workspace(
            "workspace", resource_group_name=group.name, workspace_name="dbw", compute_mode="Hybrid",
            managed_resource_group_id=client.subscription_id.apply(lambda id: f"/subscriptions/{id}/resourceGroups/m"),
            sku={"name": "premium"},
        )  # fmt: skip
        connector = azure.AccessConnector(
            "connector", resource_group_name=group.name, connector_name="dbac", identity={"type": "SystemAssigned"}
        )
        role = authorization.RoleAssignment(
            "role", scope=account.id, role_assignment_name="5d3b1d5c-3b5e-4b43-9a5e-000000000001",
            principal_id=connector.identity.principal_id, principal_type="ServicePrincipal",
            role_definition_id=client.subscription_id.apply(lambda id: f"/subscriptions/{id}{_CONTRIBUTOR}"),
        )  # fmt: skip
        provider = databricks.Provider(
            "databricks",
            host=pulumi.Output.concat("https://", workspace.workspace_url),
            azure_workspace_resource_id=workspace.id,
            auth_type="azure-cli",
        )
        inside = pulumi.ResourceOptions(provider=provider, deleted_with=workspace)
        outliving = pulumi.ResourceOptions(provider=provider, depends_on=[role])
        me = databricks.get_current_user_output(opts=pulumi.InvokeOutputOptions(provider=provider))
        student = databricks.User("student", user_name=_STUDENT, workspace_access=True, opts=outliving)
        scope = databricks.SecretScope("scope", name="lab", opts=inside)
        listen = databricks.Secret(
            "secret", scope=scope.name, key="listen", string_value=pulumi.Output.secret(secret),
            opts=pulumi.ResourceOptions(
                provider=provider, deleted_with=workspace, delete_before_replace=not create_secret_first
            ),
        )  # fmt: skip
        databricks.SecretAcl("acl", scope=scope.name, principal=student.user_name, permission="READ", opts=inside)
        policy = databricks.ClusterPolicy(
            "policy",
            definition=json.dumps({"autotermination_minutes": {"type": "range", "maxValue": 60}}),
            opts=inside,
        )
        cluster = databricks.Cluster(
            "cluster", cluster_name="lab", spark_version="18.x-scala2.13", node_type_id="Standard_D4ds_v5",
            single_user_name=student.user_name, autotermination_minutes=minutes, policy_id=policy.id,
            data_security_mode="SINGLE_USER", no_wait=True, opts=inside, **_single_node(listen, by_kind),
        )  # fmt: skip
        home = databricks.Directory("home", path="/Shared/lab", delete_recursive=True, opts=inside)
        source = b"# Databricks notebook source\nprint(1)\n"
        databricks.Notebook(
            "notebook", path=pulumi.Output.concat(home.path, "/one"), language="PYTHON",
            content_base64=base64.b64encode(source).decode(), opts=inside,
        )  # fmt: skip
        file = databricks.WorkspaceFile(
            "wheel", path=pulumi.Output.concat(home.path, "/", wheel.name), source=str(wheel), opts=inside
        )
        job = databricks.Job(
            "job",
            name="exercises",
            run_as={"user_name": student.user_name},
            parameters=[{"name": "scale", "default": "1"}],
            schedule={"quartz_cron_expression": cron, "timezone_id": "Europe/Berlin"},
            tasks=[
                {
                    "task_key": key,
                    "existing_cluster_id": cluster.id,
                    "depends_ons": [{"task_key": above} for above in before],
                    "libraries": [{"whl": file.workspace_path}],
                    "python_wheel_task": {
                        "package_name": "streaming_lab",
                        "entry_point": key,
                        "parameters": [
                            "--scale={{job.parameters.scale}}",
                            pulumi.Output.concat("--root=", account.name),
                        ],
                    },
                }
                for key, before in (("concepts", ["generate"]), ("generate", []))
            ],
            opts=inside,
        )
        for name, level, target in (
            ("of-cluster", "CAN_MANAGE", {"cluster_id": cluster.id}),
            ("of-job", "CAN_MANAGE_RUN", {"job_id": job.id}),
            ("of-home", "CAN_EDIT", {"directory_path": home.path}),
        ):
            entries = [{"user_name": student.user_name, "permission_level": level}]
            databricks.Permissions(name, access_controls=entries, **target, opts=inside)
        credential = databricks.StorageCredential(
            "credential", name="lab-dev", azure_managed_identity={"access_connector_id": connector.id}, opts=outliving
        )
        location = databricks.ExternalLocation(
            "location", name="lab-dev", credential_name=credential.name, opts=outliving,
            url=account.name.apply(lambda name: f"abfss://lab@{name}.dfs.core.windows.net"),
        )  # fmt: skip
        grants = [{"principal": student.user_name, "privileges": ["WRITE_FILES", "READ_FILES"]}]
        databricks.Grants("grants", external_location=location.id, grants=grants, opts=outliving)
        pulumi.export("me", me.user_name)
        pulumi.export("cluster", cluster.state)
        pulumi.export("job", job.url)
        pulumi.export("wheel", file.workspace_path)

    return program


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "streaming_lab-1.0-py3-none-any.whl"
    path.write_bytes(b"first")
    return path


def _workspace(cloud: LocalCloud) -> Workspace:
    found = cloud.workspaces.get(cloud.workspaces.urls()[0])
    assert found
    return found


def test_a_workspaces_lab_goes_up_changes_where_it_must_and_comes_down(
    cloud: LocalCloud, settings: Settings, engine: Callable[..., Any], endpoint: Callable[..., Any], wheel: Path
) -> None:
    machine = engine(endpoint(settings)["providers"])
    stack = machine.stack(_lab(wheel))
    planned = stack.preview().change_summary
    first = stack.up()
    assert first.summary.resource_changes == planned
    workspace = _workspace(cloud)
    (job,) = workspace.jobs.all()
    assert first.outputs["me"].value == workspace.developer.user_name
    assert first.outputs["cluster"].value in ("PENDING", "RUNNING"), "noWait skips the waiting, not the start"
    assert first.outputs["job"].value == f"https://{workspace.url}/#job/{job['job_id']}"
    assert first.outputs["wheel"].value == f"/Workspace/Shared/lab/{wheel.name}"
    assert job["settings"]["tasks"][0]["depends_on"] == [{"task_key": "generate"}]
    assert job["run_as_user_name"] == _STUDENT
    assert workspace.clusters.all()[0]["custom_tags"] == {"ResourceClass": "SingleNode"}
    assert workspace.catalog.usable_containers(_STUDENT, workspace.workspace_id) == {("stlab", "lab")}

    assert set(stack.up().summary.resource_changes) == {"same"}
    assert set(stack.refresh().summary.resource_changes) == {"same"}

    wheel.write_bytes(b"second")
    _changes(machine.stack(_lab(wheel)), update=1)
    assert workspace.files.read(f"/Shared/lab/{wheel.name}") == b"second"
    _changes(machine.stack(_lab(wheel, minutes=45, cron="0 0 7 ? * MON")), update=2)
    assert workspace.clusters.all()[0]["autotermination_minutes"] == 45
    # A new value makes a new secret; its reference, and so the cluster, stay as they are.
    _changes(machine.stack(_lab(wheel, minutes=45, cron="0 0 7 ? * MON", secret="another-secret-value")), replace=1)
    assert workspace.secrets.get("lab", "listen", workspace.developer) == b"another-secret-value"
    kept = [file for file in machine.home.rglob("*") if file.is_file()]
    assert not [file for file in kept if "another-secret-value" in file.read_text(errors="ignore")]

    workspace.jobs.reset(job["job_id"], {"name": "by hand", "tasks": job["settings"]["tasks"]}, workspace.developer)
    assert stack.refresh().summary.resource_changes["update"] == 1, "drift is seen"
    _changes(machine.stack(_lab(wheel, minutes=45, cron="0 0 7 ? * MON", secret="another-secret-value")), update=1)
    assert workspace.jobs.get(job["job_id"])["settings"]["name"] == "exercises"

    # The first preview of all asks a provider nothing, for its workspace has no address yet; the next ones do.
    for wrong, text in (
        (_lab(wheel, minutes=5), "autotermination_minutes must be 0 or between 10 and 10000 minutes, not 5"),
        (_lab(wheel, cron="0 0 25 ? * MON"), "Invalid quartz_cron_expression: 0 0 25 ? * MON. '25' is no value"),
        (_lab(wheel.with_name("none.whl")), "none.whl does not exist"),
    ):
        with pytest.raises(automation.CommandError) as refused:
            machine.stack(wrong).preview()
        assert text in str(refused.value)

    catalog = workspace.catalog
    stack.destroy()
    assert not cloud.workspaces.urls()
    assert not catalog.locations() and not catalog.credentials()


def test_what_azure_would_change_or_lose_in_an_update_is_seen(
    cloud: LocalCloud, settings: Settings, engine: Callable[..., Any], endpoint: Callable[..., Any], wheel: Path
) -> None:
    machine = engine(endpoint(settings)["providers"])
    machine.stack(_lab(wheel, by_kind=True)).up()
    workspace = _workspace(cloud)
    # The service's own additions to a single node by `kind`, at every update (terraform-provider-databricks#4360).
    for _ in range(2):
        _changes(machine.stack(_lab(wheel, by_kind=True)), update=1)
    _changes(machine.stack(_lab(wheel, by_kind=True, create_secret_first=True, secret="new")), update=1, replace=1)
    # The delete of the old secret takes the new one, which has the same key (pulumi-databricks#642).
    assert workspace.secrets.keys("lab", workspace.developer) == []


def test_a_host_that_is_no_workspace_of_this_cloud_is_refused(
    cloud: LocalCloud, settings: Settings, engine: Callable[..., Any], endpoint: Callable[..., Any]
) -> None:
    def program() -> None:
        import pulumi
        import pulumi_databricks as databricks

        provider = databricks.Provider("databricks", host="https://adb-1.2.azuredatabricks.net", auth_type="azure-cli")
        databricks.SecretScope("scope", name="lab", opts=pulumi.ResourceOptions(provider=provider))

    machine = engine(endpoint(settings)["providers"])
    with pytest.raises(automation.CommandError, match=r"'adb-1.2.azuredatabricks.net' is no workspace of this cloud"):
        machine.stack(program).up()


def _changes(stack: Any, **expected: int) -> None:
    changes = stack.up().summary.resource_changes
    changes.pop("same")
    assert changes == expected
