"""Secrets, files, users, access lists and the metastore: each rule with what breaks it."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from localcloud.arm import Arm
from localcloud.errors import DatabricksError
from localcloud.settings import Settings
from localcloud.store import Store
from localcloud.workspace import Caller, Workspace, Workspaces

ADA = Caller("ada@example.com")


@pytest.fixture
def scope(workspace: Workspace) -> str:
    workspace.secrets.create_scope("lab", workspace.developer)
    return "lab"


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 129, "ü"])
def test_names_of_scopes_and_secrets_follow_the_rule(workspace: Workspace, scope: str, name: str) -> None:
    with pytest.raises(DatabricksError, match="must have 1 to 128 characters"):
        workspace.secrets.create_scope(name, workspace.developer)
    with pytest.raises(DatabricksError, match="must have 1 to 128 characters"):
        workspace.secrets.put(scope, name, b"value", workspace.developer)


def test_a_secret_of_more_than_128_kb_is_refused(workspace: Workspace, scope: str) -> None:
    workspace.secrets.put(scope, "key", b"x" * 128 * 1024, workspace.developer)
    with pytest.raises(DatabricksError, match="has 131073 bytes, the limit is 131072") as refused:
        workspace.secrets.put(scope, "key", b"y" * (128 * 1024 + 1), workspace.developer)
    assert "yyyy" not in str(refused.value)


def test_a_full_scope_takes_new_values_but_no_new_secret(
    workspace: Workspace, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localcloud.workspace.secrets._MAX_SECRETS", 3)
    for number in range(3):
        workspace.secrets.put(scope, f"key-{number}", b"value", workspace.developer)
    workspace.secrets.put(scope, "KEY-1", b"new", workspace.developer)
    with pytest.raises(DatabricksError) as refused:
        workspace.secrets.put(scope, "one-more", b"value", workspace.developer)
    assert refused.value.code == "RESOURCE_LIMIT_EXCEEDED"


def test_secrets_are_in_the_store_alone_which_its_owner_alone_can_read(
    workspace: Workspace, scope: str, settings: Settings, tmp_path: Path
) -> None:
    value = b"a-value-to-look-for"
    workspace.secrets.put(scope, "key", value, workspace.developer)
    holders = [
        path
        for path in tmp_path.rglob("*")
        if path.is_file() and (value in (data := path.read_bytes()) or value.hex().encode() in data)
    ]
    assert holders, "the store holds it"
    for path in holders:
        assert path.name.startswith("cloud.db")
        assert path.stat().st_mode & 0o077 == 0


def test_access_to_a_scope_is_by_level(workspace: Workspace, scope: str) -> None:
    workspace.people.create({"userName": ADA.user_name})
    secrets, developer = workspace.secrets, workspace.developer
    for principal, level, text in (
        ("eve@example.com", "READ", "User or Group eve@example.com does not exist"),
        (ADA.user_name, "OWN", "Permission 'OWN' is none of READ, WRITE, MANAGE"),
    ):
        with pytest.raises(DatabricksError, match=text):
            secrets.put_acl(scope, principal, level, developer)
    secrets.put_acl(scope, "users", "WRITE", developer)
    secrets.put(scope, "key", b"value", ADA)
    with pytest.raises(DatabricksError, match="does not have MANAGE permission"):
        secrets.delete_scope(scope, ADA)
    secrets.delete_acl(scope, "users", developer)
    with pytest.raises(DatabricksError, match="does not have READ permission"):
        secrets.keys(scope, ADA)
    with pytest.raises(DatabricksError, match="Failed to delete secret acl for principal users"):
        secrets.delete_acl(scope, "users", developer)
    with pytest.raises(DatabricksError, match="initial_manage_principal must be 'users'"):
        secrets.create_scope("other", developer, "admins")


def test_files_need_a_folder_and_a_free_place(workspace: Workspace) -> None:
    files = workspace.files
    with pytest.raises(DatabricksError, match=r"The parent folder \(/Shared/none\) does not exist"):
        files.write("/Shared/none/a", b"", "RAW")
    files.write("/Shared/a", b"1", "RAW")
    with pytest.raises(DatabricksError, match=r"Path \(/Shared/a\) already exists") as refused:
        files.write("/Shared/a", b"2", "RAW")
    assert refused.value.status == 409
    with pytest.raises(DatabricksError, match=r"Path \(/Shared/a\) already exists") as refused:
        files.write("/Shared/a", b"2", "SOURCE", "PYTHON", overwrite=True)
    assert refused.value.status == 400
    with pytest.raises(DatabricksError, match="Cannot create directory /Shared/a/b: /Shared/a is a file"):
        files.mkdirs("/Shared/a/b")
    assert files.read("/Shared/a") == b"1"


@pytest.mark.parametrize(
    ("path", "format_", "language", "text"),
    [
        ("Shared/a", "RAW", None, "must be absolute"),
        ("/Shared/../a", "RAW", None, "must be absolute"),
        ("/Shared/a", "SOURCE", None, "language must be given"),
        ("/Shared/a", "SOURCE", "COBOL", "Language 'COBOL' is none of"),
        ("/Shared/a", "DBC", None, "Import format DBC is not supported"),
    ],
)
def test_imports_that_make_no_sense_are_refused(
    workspace: Workspace, path: str, format_: str, language: str | None, text: str
) -> None:
    with pytest.raises(DatabricksError, match=text):
        workspace.files.write(path, b"", format_, language)


def test_an_import_has_at_most_10_mb(workspace: Workspace) -> None:
    with pytest.raises(DatabricksError) as refused:
        workspace.files.write("/Shared/a", b"x" * (10 * 1024 * 1024 + 1), "RAW")
    assert refused.value.code == "MAX_NOTEBOOK_SIZE_EXCEEDED"


def test_protected_folders_stay_and_children_go_with_their_folder(workspace: Workspace) -> None:
    with pytest.raises(DatabricksError, match="Folder /Shared is protected"):
        workspace.files.delete("/Shared", recursive=True)
    workspace.files.mkdirs("/Shared/a/b")
    workspace.files.write("/Shared/a/b/c", b"1", "RAW")
    workspace.files.mkdirs("/Shared/ab")
    workspace.files.delete("/Shared/a", recursive=True)
    assert [item["path"] for item in workspace.files.children("/Shared")] == ["/Shared/ab"]


def test_a_deletion_that_the_store_refuses_leaves_every_content(
    workspace: Workspace, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.files.mkdirs("/Shared/a")
    workspace.files.write("/Shared/a/b", b"1", "RAW")
    workspace.files.write("/Shared/a/c", b"2", "RAW")
    delete = store.delete

    def full(kind: str, key: str) -> bool:
        if key.endswith("/c"):
            raise sqlite3.OperationalError("database or disk is full")
        return delete(kind, key)

    monkeypatch.setattr(store, "delete", full)
    with pytest.raises(sqlite3.OperationalError):
        workspace.files.delete("/Shared/a", recursive=True)
    assert [workspace.files.read(f"/Shared/a/{name}") for name in "bc"] == [b"1", b"2"]


def test_users_have_addresses_and_the_developer_stays(workspace: Workspace) -> None:
    with pytest.raises(DatabricksError, match="is not a valid e-mail address"):
        workspace.people.create({"userName": "ada"})
    with pytest.raises(DatabricksError, match="Unknown entitlement 'everything'"):
        workspace.people.create({"userName": ADA.user_name, "entitlements": [{"value": "everything"}]})
    me = workspace.people.me(workspace.developer)
    with pytest.raises(DatabricksError, match="cannot remove yourself"):
        workspace.people.delete(me["id"])
    with pytest.raises(DatabricksError, match="cannot be changed"):
        workspace.people.replace(me["id"], {"userName": "other@example.com"})


@pytest.mark.parametrize(
    ("kind", "entry", "text"),
    [
        (
            "clusters",
            {"user_name": "eve@example.com", "permission_level": "CAN_MANAGE"},
            "eve@example.com does not exist",
        ),
        ("clusters", {"group_name": "users", "permission_level": "CAN_VIEW"}, "'CAN_VIEW' is not supported on cluster"),
        ("clusters", {"permission_level": "CAN_MANAGE"}, "must name exactly one user_name, group_name"),
        ("jobs", {"group_name": "users", "permission_level": "IS_OWNER"}, "Groups can not be owners of a job"),
        ("pipelines", {}, "'pipelines' has no access lists"),
    ],
)
def test_access_lists_that_break_a_rule_are_refused(
    workspace: Workspace, cluster: str, job: Any, task: Any, kind: str, entry: dict[str, str], text: str
) -> None:
    target = str(job(task("a"))) if kind == "jobs" else cluster
    with pytest.raises(DatabricksError, match=text):
        workspace.permissions.put(kind, target, [entry], workspace.developer)


def test_an_access_list_needs_its_object(workspace: Workspace) -> None:
    with pytest.raises(DatabricksError, match="Cluster none does not exist"):
        workspace.permissions.get("clusters", "none")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"name": "a.b"}, "must have 1 to 255 characters without spaces"),
        ({"name": "cred"}, r"needs azure_managed_identity.access_connector_id"),
        (
            {"name": "cred", "azure_managed_identity": {"access_connector_id": "x"}},
            "'x' is no resource id of an access connector",
        ),
    ],
)
def test_credentials_that_make_no_sense_are_refused(workspace: Workspace, body: dict[str, Any], text: str) -> None:
    with pytest.raises(DatabricksError, match=text):
        workspace.catalog.create_credential(body, workspace.developer)


def test_a_credential_needs_a_connector_that_exists_and_an_administrator(workspace: Workspace, connector: str) -> None:
    body = {"name": "cred", "azure_managed_identity": {"access_connector_id": connector}}
    with pytest.raises(DatabricksError, match="User does not have CREATE STORAGE CREDENTIAL on Metastore"):
        workspace.catalog.create_credential(body, ADA)
    workspace.catalog.create_credential(body, workspace.developer)
    with pytest.raises(DatabricksError, match="Storage Credential 'cred' already exists"):
        workspace.catalog.create_credential(body, workspace.developer)
    gone = {"name": "two", "azure_managed_identity": {"access_connector_id": connector + "2"}}
    with pytest.raises(DatabricksError, match="does not exist"):
        workspace.catalog.create_credential(gone, workspace.developer)
    with pytest.raises(DatabricksError, match="must be abfss://"):
        location = {"name": "loc", "url": "wasbs://x", "credential_name": "cred"}
        workspace.catalog.create_location(location, workspace.developer)
    with pytest.raises(DatabricksError, match="Privilege SELECT is not applicable to storage_credential"):
        changes = [{"principal": "users", "add": ["SELECT"]}]
        workspace.catalog.change_grants("storage_credential", "cred", changes, workspace.developer)


def test_the_metastore_is_the_regions_and_outlives_a_workspace(
    workspace: Workspace, workspaces: Workspaces, arm: Arm, group: str, connector: str, workspace_id: str
) -> None:
    other = arm.put(
        f"{group}/providers/Microsoft.Databricks/workspaces/dbw-2",
        {
            "location": "westeurope",
            "sku": {"name": "premium"},
            "properties": {"computeMode": "Hybrid", "managedResourceGroupId": group + "-managed-2"},
        },
    )
    workspaces.reconcile()
    second = workspaces.get(other["properties"]["workspaceUrl"])
    assert second
    body = {"name": "cred", "azure_managed_identity": {"access_connector_id": connector}}
    workspace.catalog.create_credential(body, workspace.developer)
    arm.delete(workspace_id)
    workspaces.reconcile()
    assert workspaces.urls() == [second.url]
    assert second.catalog.credential("cred")["name"] == "cred"
    with pytest.raises(DatabricksError, match="already exists"):
        second.catalog.create_credential(body, second.developer)


def test_a_deleted_workspace_leaves_nothing_of_its_own(
    workspace: Workspace,
    workspaces: Workspaces,
    arm: Arm,
    workspace_id: str,
    settings: Settings,
    drivers: Any,
    job: Any,
    task: Any,
    run: Any,
    scope: str,
    tmp_path: Path,
) -> None:
    workspace.secrets.put(scope, "key", b"value-of-a-deleted-workspace", workspace.developer)
    run(job(task("a")))
    arm.delete(workspace_id)
    workspaces.reconcile()
    assert not workspaces.urls()
    assert not drivers.made[0].alive
    assert not (settings.state / "workspaces" / workspace.workspace_id).exists()
    assert not workspace.jobs.all() and not workspace.runs.all() and not workspace.clusters.all()
    assert not workspace.secrets.scopes()


def test_a_workspace_whose_deletion_was_cut_off_leaves_nothing_after_a_restart(
    workspace: Workspace,
    open_workspaces: Callable[[], Workspaces],
    arm: Arm,
    store: Store,
    workspace_id: str,
    settings: Settings,
    job: Any,
    task: Any,
    run: Any,
    scope: str,
) -> None:
    workspace.secrets.put(scope, "key", b"value", workspace.developer)
    run(job(task("a")))
    folders = settings.state / "workspaces", settings.state / "clusters"
    (cluster,) = workspace.clusters.all()
    (folders[1] / cluster["cluster_id"]).mkdir(parents=True, exist_ok=True)
    open_workspaces()
    assert all(list(folder.iterdir()) for folder in folders), "a restart alone takes nothing away"
    arm.delete(workspace_id)
    open_workspaces()
    for kind in ("secret", "scope", "secret-acl", "object", "run", "job", "cluster", "cluster-event", "user"):
        assert not store.keys(f"databricks/{kind}"), kind
    assert not any(list(folder.iterdir()) for folder in folders)


def test_files_of_others_between_the_folders_hold_nothing_up(
    workspace: Workspace, workspaces: Workspaces, settings: Settings
) -> None:
    stray = [settings.state / folder / ".DS_Store" for folder in ("workspaces", "clusters")]
    for file in stray:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    workspaces.reconcile()
    assert workspaces.urls() == [workspace.url]
    assert all(file.exists() for file in stray)
