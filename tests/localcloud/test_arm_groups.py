import httpx
import pytest

from localcloud.arm import Arm, http
from localcloud.arm.rehearsal import Rehearsal
from localcloud.arm.throttle import Throttle
from localcloud.errors import AzureError
from localcloud.store import Store
from localcloud.web import WebServer

CONTRIBUTOR = "/providers/Microsoft.Authorization/roleDefinitions/ba92f5b4-2d11-453d-a403-e96b0029c9fe"


def put_workspace(arm: Arm, group: str, name: str = "dbw-lab", managed: str = "managed", **properties: object) -> str:
    subscription = arm.client_config()["subscriptionId"]
    body = {
        "location": "westeurope",
        "sku": {"name": "premium"},
        "properties": {
            "computeMode": "Hybrid",
            "managedResourceGroupId": f"/subscriptions/{subscription}/resourceGroups/{managed}",
            "parameters": {"enableNoPublicIp": {"value": False}},
            **properties,
        },
    }
    return arm.put(f"{group}/providers/Microsoft.Databricks/workspaces/{name}", body)["id"]


def names(arm: Arm) -> set[str]:
    return {one["name"] for one in arm.list_groups()}


@pytest.mark.parametrize("name", ["ends.", "with space", "x" * 91, "per%cent"])
def test_a_group_name_that_breaks_a_rule_is_refused(arm: Arm, group: str, name: str) -> None:
    with pytest.raises(AzureError, match=r"The resource group name .* is invalid"):
        arm.put(group[: -len("rg")] + name, {"location": "westeurope"})


def test_a_group_name_may_have_letters_of_any_language(arm: Arm, group: str) -> None:
    assert arm.put(group[: -len("rg")] + "수업", {"location": "westeurope"})["name"] == "수업"


def test_a_region_that_azure_does_not_have_is_refused(arm: Arm, group: str) -> None:
    with pytest.raises(AzureError, match="'mars' is not available for resource type") as refused:
        arm.put(group + "2", {"location": "mars"})
    assert refused.value.code == "LocationNotAvailableForResourceType"


def test_a_group_and_a_resource_stay_where_they_are(arm: Arm, group: str) -> None:
    assert arm.put(group.upper().replace("/RG", "/RG"), {"location": "West Europe"})["id"] == group
    with pytest.raises(AzureError, match="already exists in location 'westeurope'") as moved:
        arm.put(group, {"location": "northeurope"})
    assert (moved.value.status, moved.value.code) == (409, "InvalidResourceGroupLocation")
    connector = f"{group}/providers/Microsoft.Databricks/accessConnectors/dbac"
    arm.put(connector, {"location": "westeurope"})
    with pytest.raises(AzureError, match="cannot be created in location 'northeurope'") as elsewhere:
        arm.put(connector, {"location": "northeurope"})
    assert (elsewhere.value.status, elsewhere.value.code) == (409, "InvalidResourceLocation")


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ({"a/b": "x"}, "InvalidTagNameCharacters"),
        ({"a": "x" * 257}, "InvalidTagValueLength"),
        ({str(number): "" for number in range(51)}, "TooManyTags"),
    ],
)
def test_tags_that_azure_refuses_are_refused(arm: Arm, group: str, tags: dict[str, str], code: str) -> None:
    with pytest.raises(AzureError) as refused:
        arm.put(group, {"location": "westeurope", "tags": tags})
    assert refused.value.code == code


def test_nothing_goes_into_a_group_or_subscription_that_does_not_exist(arm: Arm, group: str) -> None:
    body = {"location": "westeurope"}
    with pytest.raises(AzureError, match="Resource group 'nowhere' could not be found"):
        arm.put(f"{group[:-2]}nowhere/providers/Microsoft.Databricks/accessConnectors/dbac", body)
    with pytest.raises(AzureError, match="The subscription 'other' could not be found"):
        arm.put("/subscriptions/other/resourceGroups/rg", body)


def test_a_deleted_group_takes_along_what_is_in_it(arm: Arm, group: str) -> None:
    account = f"{group}/providers/Microsoft.Storage/storageAccounts/stlab"
    arm.put(account, {"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}})
    arm.put(f"{account}/blobServices/default/containers/lab", {})
    connector = f"{group}/providers/Microsoft.Databricks/accessConnectors/dbac"
    arm.put(connector, {"location": "westeurope", "identity": {"type": "SystemAssigned"}})
    beside = arm.put(group + "2", {"location": "westeurope"})["id"]
    assert arm.delete(group)
    assert arm.list_resources() == []
    assert arm.containers() == []
    assert arm.get(beside), "a group whose name merely starts the same way stays"
    assert not arm.delete(group)


def test_a_workspace_makes_its_managed_group_and_guards_it(arm: Arm, group: str) -> None:
    workspace = put_workspace(arm, group)
    assert names(arm) == {"rg", "managed"}
    inside = {one["type"].rsplit("/", 1)[-1]: one for one in arm.list_resources("managed")}
    assert set(inside) == {"storageAccounts", "accessConnectors"}
    managed = group[:-2] + "managed"
    for attempt in (
        lambda: arm.delete(managed),
        lambda: arm.delete(inside["storageAccounts"]["id"]),
        lambda: arm.put(managed, {"location": "westeurope"}),
        lambda: arm.put(f"{managed}/providers/Microsoft.Databricks/accessConnectors/mine", {"location": "westeurope"}),
    ):
        with pytest.raises(AzureError, match="because of the deny assignment") as denied:
            attempt()
        assert (denied.value.status, denied.value.code) == (403, "DenyAssignmentAuthorizationFailed")
    (info,) = arm.workspaces()
    assert info.resource_id == workspace
    assert info.url == f"adb-{info.workspace_id}.{int(info.workspace_id) % 20}.azuredatabricks.net"
    assert len(info.workspace_id) == 16


def test_with_unity_catalog_the_managed_group_outlives_the_workspace_and_blocks_the_next(arm: Arm, group: str) -> None:
    workspace = put_workspace(arm, group)
    arm.delete(workspace)
    assert {one["type"].rsplit("/", 1)[-1] for one in arm.list_resources("managed")} == {
        "storageAccounts",
        "accessConnectors",
    }
    with pytest.raises(AzureError, match=r"already exists\. Please specify a new non-existent") as refused:
        put_workspace(arm, group)
    assert refused.value.code == "ApplianceProvisioningFailed"
    assert arm.delete(group[:-2] + "managed")
    put_workspace(arm, group)


def test_a_later_workspace_of_the_same_name_does_not_guard_what_the_first_left(arm: Arm, group: str) -> None:
    arm.delete(put_workspace(arm, group))
    put_workspace(arm, group, managed="managed2")
    assert arm.delete(group[:-2] + "managed")
    with pytest.raises(AzureError, match="deny assignment"):
        arm.delete(group[:-2] + "managed2")


def test_a_deleted_group_leaves_the_managed_group_of_its_workspace_behind(arm: Arm, group: str) -> None:
    put_workspace(arm, group)
    arm.delete(group)
    assert names(arm) == {"managed"}
    assert arm.delete(group[:-2] + "managed")
    assert arm.list_resources() == []


def test_without_unity_catalog_or_with_force_the_managed_group_goes_too(arm: Arm, group: str) -> None:
    arm.delete(put_workspace(arm, group, defaultCatalog={"initialType": "HiveMetastore"}))
    assert names(arm) == {"rg"}
    arm.delete(put_workspace(arm, group), force=True)
    assert names(arm) == {"rg"}


def test_a_nat_gateway_is_there_only_without_public_addresses_and_goes_with_the_workspace(arm: Arm, group: str) -> None:
    workspace = put_workspace(arm, group, parameters={"enableNoPublicIp": {"value": True}})
    assert {"nat-gateway", "nat-gw-public-ip"} < {one["name"] for one in arm.list_resources("managed")}
    arm.delete(workspace)
    assert "nat-gateway" not in {one["name"] for one in arm.list_resources("managed")}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"computeMode": None}, "InvalidRequestContent"),
        ({"computeMode": "Serverless"}, "InvalidRequestContent"),
        ({"managedResourceGroupId": None}, "InvalidRequestContent"),
        ({"managedResourceGroupId": "/subscriptions/other/resourceGroups/x"}, "InvalidRequestContent"),
        ({"managedResourceGroupId": "managed"}, "InvalidResourceId"),
    ],
)
def test_a_workspace_without_a_sound_compute_mode_or_managed_group_is_refused(
    arm: Arm, group: str, change: dict[str, object], code: str
) -> None:
    with pytest.raises(AzureError) as refused:
        put_workspace(arm, group, **change)
    assert refused.value.code == code
    assert names(arm) == {"rg"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"managed": "other"}, "did not match that in the existing appliance definition"),
        ({"parameters": {"enableNoPublicIp": {"value": True}}}, "enableNoPublicIp can only be changed"),
        ({"parameters": {"storageAccountName": {"value": "other"}}}, "storageAccountName of a workspace can't"),
    ],
)
def test_what_a_workspace_cannot_change_is_refused(
    arm: Arm, group: str, change: dict[str, object], reason: str
) -> None:
    put_workspace(arm, group)
    (before,) = arm.workspaces()
    with pytest.raises(AzureError, match=reason):
        put_workspace(arm, group, **change)  # type: ignore[arg-type]
    put_workspace(arm, group)
    assert arm.workspaces() == [before]


@pytest.mark.parametrize("private", [True, False])
def test_an_update_that_leaves_a_parameter_out_does_not_change_it(arm: Arm, group: str, private: bool) -> None:
    id = put_workspace(arm, group, parameters={"enableNoPublicIp": {"value": private}})
    put_workspace(arm, group, parameters={})
    assert arm.require(id)["properties"]["parameters"]["enableNoPublicIp"]["value"] is private


@pytest.mark.parametrize("name", ["ab", "x" * 65, "with space", "작업실"])
def test_a_workspace_name_that_breaks_a_rule_is_refused(arm: Arm, group: str, name: str) -> None:
    with pytest.raises(AzureError, match=r"The Databricks workspace name .* is invalid"):
        put_workspace(arm, group, name)


def test_two_workspaces_have_different_ids(arm: Arm, group: str) -> None:
    put_workspace(arm, group)
    put_workspace(arm, group, "second", "managed2")
    first, second = arm.workspaces()
    assert first.url != second.url


def test_listeners_hear_of_every_change_and_of_no_refusal(arm: Arm, group: str) -> None:
    heard: list[int] = []
    arm.on_change(lambda: heard.append(1))
    arm.put(group + "2", {"location": "westeurope"})
    with pytest.raises(AzureError):
        arm.put(group + "3", {"location": "mars"})
    arm.delete(group + "2")
    assert len(heard) == 2


def test_head_says_whether_a_resource_exists_and_deletes_nothing(arm: Arm, store: Store) -> None:
    server = WebServer(http.app(arm, "token", Throttle(), Rehearsal(store)))
    group = f"/subscriptions/{arm.client_config()['subscriptionId']}/resourceGroups/rg"
    arm.put(group, {"location": "westeurope"})
    try:
        with httpx.Client(base_url=server.url, headers={"Authorization": "Bearer token"}) as client:
            assert client.head(group).status_code == 204
            assert client.get(group).status_code == 200
            assert client.head(f"{group}-other").status_code == 404
    finally:
        server.stop()
