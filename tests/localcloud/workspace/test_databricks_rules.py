"""What the databricks provider refuses in a preview, fills in, replaces and reads back."""

import base64
from pathlib import Path
from typing import Any

import pytest

from localcloud.errors import DatabricksError
from localcloud.providers.base import Check, ProviderError, Session
from localcloud.providers.databricks import Databricks
from localcloud.providers.wire import UNKNOWN
from localcloud.workspace import Workspace, Workspaces

_FILE = {"path": "/Shared/a", "contentBase64": base64.b64encode(b"1").decode()}
_TASK = {
    "taskKey": "a",
    "existingClusterId": UNKNOWN,
    "libraries": [{"whl": UNKNOWN}],
    "pythonWheelTask": {"packageName": "x", "entryPoint": "y", "parameters": [UNKNOWN]},
}
_CLUSTER = {
    "sparkVersion": "18.x-scala2.13",
    "nodeTypeId": "Standard_D4ds_v5",
    "kind": "CLASSIC_PREVIEW",
    "isSingleNode": True,
}
_LEGACY_CLUSTER = {
    "sparkVersion": "18.x-scala2.13",
    "nodeTypeId": "Standard_D4ds_v5",
    "numWorkers": 0,
    "sparkConf": {"spark.databricks.cluster.profile": "singleNode", "spark.master": "local[*]"},
    "customTags": {"ResourceClass": "SingleNode"},
}
_READER = {"userName": "a@b.c", "permissionLevel": "CAN_READ"}


@pytest.fixture
def provider(workspaces: Workspaces) -> Databricks:
    return Databricks(workspaces)


@pytest.fixture
def session(workspace: Workspace) -> Session:
    return Session({"host": f"https://{workspace.url}"})


def _token(name: str) -> str:
    return f"databricks:index/{name[0].lower()}{name[1:]}:{name}"


def _failures(provider: Databricks, session: Session, name: str, inputs: dict[str, Any]) -> list[str]:
    kind = provider.resource_types[_token(name)]
    inputs, problems = provider.schema.check(kind.token, inputs)
    assert not problems
    _, failures = kind.check(session, Check(name="thing", inputs=inputs, olds={}, seed=b"\x01\x02\x03\x04"))
    return [f"{failure.property}: {failure.reason}" for failure in failures]


@pytest.mark.parametrize(
    ("name", "inputs", "text"),
    [
        ("SecretScope", {"name": "a b"}, "name: Scope name 'a b' must have"),
        ("SecretScope", {"backendType": "AZURE_KEYVAULT"}, "Key Vault are not offered"),
        ("Secret", {"scope": "lab", "key": "a/b", "stringValue": "x"}, "key: Secret key 'a/b' must have"),
        ("Secret", {"scope": "lab", "key": "a"}, "missing required property 'stringValue'"),
        (
            "Secret",
            {"scope": "lab", "key": "a", "stringValue": ""},
            'expected "string_value" to not be an empty string',
        ),
        ("SecretAcl", {"scope": "lab", "principal": "users", "permission": "OWN"}, "'OWN' is none of READ"),
        ("ClusterPolicy", {"definition": "{"}, "definition: Invalid JSON"),
        ("ClusterPolicy", {}, "missing required property 'definition'"),
        (
            "Cluster",
            {**_CLUSTER, "nodeTypeId": "Standard_D99_v9"},
            "nodeTypeId: Node type Standard_D99_v9 is not supported",
        ),
        ("Cluster", {**_CLUSTER, "isSingleNode": False}, "num_workers could be 0 only for single-node clusters"),
        ("Cluster", {**_CLUSTER, "runtimeEngine": "FAST"}, 'to be one of ["PHOTON" "STANDARD"], got FAST'),
        ("Cluster", {**_CLUSTER, "libraries": [{"whl": "/a.whl"}]}, "'libraries' of a cluster is not offered"),
        ("Directory", {"path": "Shared"}, "path: Path (Shared) must be absolute"),
        ("Directory", {"path": "/Workspace/Shared/a"}, "must be given without '/Workspace'"),
        ("WorkspaceFile", {"path": "/Shared/a"}, "exactly one of 'source' and 'contentBase64'"),
        ("WorkspaceFile", {**_FILE, "source": "/a"}, "exactly one of 'source' and 'contentBase64'"),
        ("WorkspaceFile", {**_FILE, "contentBase64": "%"}, "contentBase64: contentBase64 is not valid Base64"),
        ("WorkspaceFile", {"path": "/Shared/a", "source": "a.whl"}, "source 'a.whl' must be an absolute path"),
        ("WorkspaceFile", {"path": "/Shared/a", "source": "/none/a.whl"}, "File /none/a.whl does not exist"),
        ("Notebook", _FILE, "language: contentBase64 needs a language"),
        ("Notebook", {**_FILE, "language": "PYTHON", "format": "DBC"}, "format SOURCE alone"),
        ("Notebook", {**_FILE, "language": "JAVA"}, 'language to be one of ["SCALA" "PYTHON" "R" "SQL"], got JAVA'),
        ("Notebook", {"path": "/Shared/a", "source": "/none/a.txt"}, "has no suffix that tells its language"),
        ("Job", {}, "A job must have between 1 and 1000 tasks"),
        ("Job", {"tasks": [_TASK, _TASK]}, "Task key 'a' is not unique"),
        ("Job", {"tasks": [{**_TASK, "dependsOns": [{"taskKey": "a"}]}]}, "task 'a' can not reference itself"),
        (
            "Job",
            {"tasks": [_TASK], "runAs": {"userName": "a@b.c", "servicePrincipalName": "a"}},
            "runAs: exactly one of `run_as.0.service_principal_name,run_as.0.user_name` must be specified",
        ),
        ("Job", {"tasks": [_TASK], "controlRunState": True}, "specified only with `continuous`"),
        ("Job", {"tasks": [_TASK], "alwaysRunning": True}, "use continuous"),
        (
            "Job",
            {"tasks": [_TASK], "sparkJarTask": {}, "newCluster": {"numWorkers": 1, "sparkVersion": "x"}},
            "'new_cluster' is not",
        ),
        ("Permissions", {"accessControls": [_READER]}, "exactly one object must be named"),
        (
            "Permissions",
            {"accessControls": [_READER], "jobId": UNKNOWN},
            "CAN_READ is not supported with jobId objects",
        ),
        ("Permissions", {"accessControls": [], "jobId": "1"}, "at least one entry must be given"),
        (
            "Permissions",
            {"accessControls": [{"groupName": "admins", "permissionLevel": "CAN_VIEW"}], "jobId": "1"},
            "not possible to restrict any permissions from `admins`",
        ),
        ("User", {"userName": "ada"}, "userName: userName 'ada' is not a valid e-mail address"),
        ("StorageCredential", {}, "needs azureManagedIdentity"),
        (
            "StorageCredential",
            {"azureManagedIdentity": {"accessConnectorId": "x"}},
            "'x' is no resource id of an access connector",
        ),
        ("Grants", {"grants": [], "catalog": "main"}, "exactly one of storageCredential, externalLocation"),
        (
            "Grants",
            {"grants": [{"principal": "users", "privileges": ["SELECT"]}], "externalLocation": UNKNOWN},
            "Privilege SELECT is not applicable to external_location",
        ),
    ],
)
def test_inputs_that_break_a_rule_are_refused_with_their_place(
    provider: Databricks, session: Session, name: str, inputs: dict[str, Any], text: str
) -> None:
    assert text in "\n".join(_failures(provider, session, name, inputs))


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("Cluster", {**_CLUSTER, "nodeTypeId": UNKNOWN, "sparkConf": {"a": UNKNOWN}, "singleUserName": UNKNOWN}),
        ("Cluster", {"sparkVersion": UNKNOWN, "policyId": UNKNOWN, "kind": "CLASSIC_PREVIEW", "isSingleNode": True}),
        ("Job", {"tasks": UNKNOWN}),
        (
            "Job",
            {"tasks": [_TASK], "runAs": UNKNOWN, "schedule": {"quartzCronExpression": UNKNOWN, "timezoneId": "UTC"}},
        ),
        ("Permissions", {"accessControls": UNKNOWN, "clusterId": UNKNOWN}),
        (
            "Permissions",
            {"accessControls": [{"userName": UNKNOWN, "permissionLevel": "CAN_EDIT"}], "directoryPath": "/a"},
        ),
        ("Grants", {"grants": UNKNOWN, "externalLocation": UNKNOWN}),
        ("StorageCredential", {"azureManagedIdentity": {"accessConnectorId": UNKNOWN}}),
        ("WorkspaceFile", {"path": UNKNOWN, "source": UNKNOWN}),
        ("Secret", {"scope": UNKNOWN, "key": "a", "stringValue": UNKNOWN}),
        ("User", {"userName": UNKNOWN}),
    ],
)
def test_what_a_preview_cannot_know_is_not_refused(
    provider: Databricks, session: Session, name: str, inputs: dict[str, Any]
) -> None:
    assert _failures(provider, session, name, inputs) == []


def test_a_number_or_flag_given_as_text_means_what_it_says(
    provider: Databricks, session: Session, workspace: Workspace
) -> None:
    texts = {**_CLUSTER, "isSingleNode": "true", "autoterminationMinutes": "30", "sparkConf": {"spark.a": True}}
    assert _failures(provider, session, "Cluster", {**texts, "autoterminationMinutes": "5"})
    (refused,) = _failures(provider, session, "Cluster", {**texts, "isSingleNode": "false"})
    assert "num_workers could be 0 only for single-node clusters" in refused
    assert not _failures(provider, session, "Cluster", texts)
    kind = provider.resource_types[_token("Cluster")]
    id, _ = kind.create(session, provider.schema.check(kind.token, texts)[0])
    made = workspace.clusters.get(id)
    assert (made["autotermination_minutes"], made["is_single_node"], made["spark_conf"]["spark.a"]) == (
        30,
        True,
        "true",
    )


def test_a_name_is_made_up_once_and_kept(provider: Databricks, session: Session) -> None:
    kind = provider.resource_types[_token("SecretScope")]
    inputs, _ = kind.check(session, Check(name="scope", inputs={}, olds={}, seed=b"\xab\xcd\xef\x01"))
    assert inputs["name"] == "scope-abcdef0"
    again, _ = kind.check(session, Check(name="scope", inputs={}, olds=inputs, seed=b"\x01\x01\x01\x01"))
    assert again["name"] == "scope-abcdef0"


@pytest.mark.parametrize(
    ("name", "change", "replaces"),
    [
        ("SecretScope", "name", True),
        ("Secret", "stringValue", True),
        ("SecretAcl", "permission", True),
        ("Notebook", "path", True),
        ("Notebook", "md5", False),
        ("WorkspaceFile", "path", True),
        ("Directory", "path", True),
        ("Directory", "deleteRecursive", False),
        ("Cluster", "nodeTypeId", False),
        ("ClusterPolicy", "name", False),
        ("Job", "name", False),
        ("Permissions", "clusterId", True),
        ("Permissions", "accessControls", False),
        ("StorageCredential", "name", True),
        ("StorageCredential", "comment", False),
        ("ExternalLocation", "url", False),
        ("Grants", "externalLocation", True),
        ("User", "userName", True),
        ("User", "displayName", False),
    ],
)
def test_a_change_replaces_where_terraforms_provider_does(
    provider: Databricks, session: Session, name: str, change: str, replaces: bool
) -> None:
    diff = provider.resource_types[_token(name)].diff(session, "id", {}, {change: "old"}, {change: "new"})
    assert [item.replace for item in diff.changes.values()] == [replaces]


def test_a_file_changes_with_its_content_and_is_read_back_by_it(
    provider: Databricks, session: Session, workspace: Workspace, tmp_path: Path
) -> None:
    source = tmp_path / "a.whl"
    source.write_bytes(b"1")
    kind = provider.resource_types[_token("WorkspaceFile")]
    inputs, _ = kind.check(session, Check(name="a", inputs={"path": "/Shared/x/a", "source": str(source)}, olds={}))
    id, outputs = kind.create(session, inputs)
    assert (id, outputs["workspacePath"]) == ("/Shared/x/a", "/Workspace/Shared/x/a")
    read = kind.read(session, id, inputs)
    assert read and read[0] == inputs
    workspace.files.write("/Shared/x/a", b"2", "RAW", overwrite=True)
    drifted = kind.read(session, id, inputs)
    assert drifted and drifted[0]["md5"] != inputs["md5"]
    workspace.files.delete("/Shared/x/a")
    assert kind.read(session, id, inputs) is None
    kind.delete(session, id, outputs)


def test_what_a_killed_update_made_can_be_read_by_its_id_alone(
    provider: Databricks, session: Session, workspace: Workspace, cluster: str, job: Any, task: Any
) -> None:
    job_id = job(task("a"), parameters=[{"name": "x", "default": "1"}])
    for name, id, expected in (
        ("Cluster", cluster, {"nodeTypeId": "Standard_D4ds_v5", "isSingleNode": True, "clusterName": "lab"}),
        ("Job", str(job_id), {"name": "lab", "parameters": [{"name": "x", "default": "1"}]}),
        ("Directory", "/Shared", {"path": "/Shared"}),
    ):
        read = provider.resource_types[_token(name)].read(session, id, {})
        assert read
        inputs = read[0]
        assert expected.items() <= inputs.items()
        assert provider.schema.check(_token(name), inputs) == (inputs, [])


def test_a_directory_with_something_in_it_is_only_deleted_when_asked(
    provider: Databricks, session: Session, workspace: Workspace
) -> None:
    kind = provider.resource_types[_token("Directory")]
    id, outputs = kind.create(session, {"path": "/Shared/lab"})
    workspace.files.write("/Shared/lab/a", b"1", "RAW")
    with pytest.raises(DatabricksError, match="is not empty"):
        kind.delete(session, id, outputs)
    kind.delete(session, id, {**outputs, "deleteRecursive": True})
    assert kind.read(session, id, {}) is None


def test_permissions_replace_what_was_there_and_never_lock_the_caller_out(
    provider: Databricks, session: Session, workspace: Workspace, cluster: str, job: Any, task: Any
) -> None:
    for user in ("ada@example.com", "bob@example.com"):
        workspace.people.create({"userName": user})
    kind = provider.resource_types[_token("Permissions")]

    def controls(user: str, level: str) -> list[dict[str, str]]:
        return [{"userName": user, "permissionLevel": level}]

    inputs = {"clusterId": cluster, "accessControls": controls("ada@example.com", "CAN_RESTART")}
    id, outputs = kind.create(session, inputs)
    assert (id, outputs["objectType"]) == (f"/clusters/{cluster}", "cluster")
    news = {"clusterId": cluster, "accessControls": controls("bob@example.com", "CAN_MANAGE")}
    kind.update(session, id, outputs, inputs, news)
    held = {
        entry["user_name"]: entry["permission_level"] for entry in workspace.permissions.entries("clusters", cluster)
    }
    assert held == {"bob@example.com": "CAN_MANAGE", workspace.developer.user_name: "CAN_MANAGE"}
    assert kind.read(session, id, news) == (news, {**news, "objectType": "cluster"})
    kind.delete(session, id, outputs)
    assert len(workspace.permissions.entries("clusters", cluster)) == 1
    job_id = str(job(task("a")))
    kind.create(session, {"jobId": job_id, "accessControls": controls("ada@example.com", "CAN_VIEW")})
    assert workspace.permissions.entries("jobs", job_id)[-1]["permission_level"] == "IS_OWNER"


def test_a_grant_to_another_spelling_than_the_metastores_fails(
    provider: Databricks, session: Session, workspace: Workspace, storage: str, connector: str
) -> None:
    identity = {"azureManagedIdentity": {"accessConnectorId": connector}}
    create = {name: provider.resource_types[_token(name)].create for name in ("StorageCredential", "ExternalLocation")}
    create["StorageCredential"](session, {"name": "lab", **identity, "skipValidation": True})
    url = "abfss://lab@stlab.dfs.core.windows.net/"
    location = {"name": "lab", "url": url, "credentialName": "lab", "skipValidation": True}
    create["ExternalLocation"](session, location)
    kind = provider.resource_types[_token("Grants")]

    def grants(principal: str) -> dict[str, Any]:
        return {"externalLocation": "lab", "grants": [{"principal": principal, "privileges": ["READ_FILES"]}]}

    expected = "permissions for external_location-lab are ada@example.com: READ_FILES, but have to be Ada@example.com"
    with pytest.raises(ProviderError, match=expected):
        kind.create(session, grants("Ada@example.com"))
    assert kind.create(session, grants("ada@example.com"))[0] == "external_location/lab"


def test_a_user_that_exists_is_taken_over_by_force_alone(
    provider: Databricks, session: Session, workspace: Workspace
) -> None:
    existing = workspace.people.create({"userName": "ada@example.com"})
    kind = provider.resource_types[_token("User")]
    with pytest.raises(DatabricksError, match="already exists"):
        kind.create(session, {"userName": "ada@example.com"})
    id, outputs = kind.create(session, {"userName": "ada@example.com", "force": True, "displayName": "Ada"})
    assert id == existing["id"]
    assert outputs["home"] == "/Users/ada@example.com"
    assert workspace.people.get(id)["displayName"] == "Ada"
    kind.delete(session, id, {**outputs, "forceDeleteHomeDir": True})
    with pytest.raises(DatabricksError):
        workspace.files.status("/Users/ada@example.com")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"host": "https://adb-0.0.azuredatabricks.net"},
            "'adb-0.0.azuredatabricks.net' is no workspace of this cloud",
        ),
        ({"host": None}, "missing required property 'host'"),
        ({"authType": "magic"}, "'magic' is none of azure-cli"),
        ({"azureWorkspaceResourceId": "/subscriptions/x"}, "'/subscriptions/x' is not the workspace at"),
        ({"hosst": "x"}, "'hosst' is not a property here; did you mean 'host'"),
    ],
)
def test_a_wrong_provider_configuration_is_refused(
    provider: Databricks, workspace: Workspace, change: dict[str, Any], text: str
) -> None:
    right = {
        "host": f"https://{workspace.url}",
        "azureWorkspaceResourceId": workspace.info.resource_id.upper(),
        "authType": "azure-cli",
        "version": "1.118.0",
    }
    assert provider.check_config(right)[1] == []
    assert provider.check_config({**right, "host": UNKNOWN})[1] == []
    wrong = {name: value for name, value in {**right, **change}.items() if value is not None}
    assert text in "\n".join(failure.reason for failure in provider.check_config(wrong)[1])


def test_the_current_user_is_the_developer_with_a_home(provider: Databricks, session: Session) -> None:
    me = provider.invokes["databricks:index/getCurrentUser:getCurrentUser"](session, {})
    assert me["home"] == f"/Users/{me['userName']}"
    assert me["alphanumeric"] == "developer"


@pytest.mark.parametrize(("name", "survives"), [("Notebook", False), ("WorkspaceFile", True)])
def test_notebooks_race_for_a_new_folder_and_files_do_not(
    provider: Databricks,
    session: Session,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    survives: bool,
) -> None:
    kind = provider.resource_types[_token(name)]
    more = {"language": "PYTHON"} if name == "Notebook" else {}
    assert kind.create(session, {**_FILE, **more, "path": "/Shared/alone/a"})[0] == "/Shared/alone/a"
    write = workspace.files.write

    def write_beside_another(*args: Any, **options: Any) -> Any:
        try:
            return write(*args, **options)
        except DatabricksError:
            # The other import makes the folder after this one was refused.
            workspace.files.mkdirs("/Shared/both")
            raise

    monkeypatch.setattr(workspace.files, "write", write_beside_another)
    if survives:
        kind.create(session, {**_FILE, **more, "path": "/Shared/both/a"})
    else:
        with pytest.raises(DatabricksError, match=r"The parent folder \(/Shared/both\) does not exist"):
            kind.create(session, {**_FILE, **more, "path": "/Shared/both/a"})


def test_a_pin_comes_and_goes_without_an_edit(provider: Databricks, session: Session, workspace: Workspace) -> None:
    kind = provider.resource_types[_token("Cluster")]
    pinned = {**_LEGACY_CLUSTER, "isPinned": True}
    id, outputs = kind.create(session, pinned)
    read = kind.read(session, id, pinned)
    assert read and read[0] == pinned
    outputs = kind.update(session, id, outputs, pinned, _LEGACY_CLUSTER)
    assert not workspace.clusters.is_pinned(id)
    drifted = kind.read(session, id, pinned)
    assert drifted and drifted[0]["isPinned"] is False
    outputs = kind.update(session, id, outputs, _LEGACY_CLUSTER, pinned)
    assert workspace.clusters.is_pinned(id)
    assert not workspace.clusters.events(id, types=["EDITED"])
    kind.delete(session, id, outputs)
    assert kind.read(session, id, pinned) is None


def test_a_tag_that_the_workspace_has_comes_back_renamed(
    provider: Databricks, session: Session, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace.clusters, "_azure_tags", lambda: {"course": "dp-203"})
    kind = provider.resource_types[_token("Cluster")]
    inputs = {**_CLUSTER, "customTags": {"course": "dp-203", "own": "1"}}
    id, outputs = kind.create(session, inputs)
    assert outputs["customTags"] == {"x_course": "dp-203", "own": "1", "ResourceClass": "SingleNode"}
    assert outputs["defaultTags"]["course"] == "dp-203"
    assert ("customTags", "course") in kind.diff(session, id, outputs, inputs, inputs).changes
