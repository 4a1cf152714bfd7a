from typing import Any

import pytest

from localcloud.arm import Arm
from localcloud.errors import AzureError


def put_account(
    arm: Arm, group: str, name: str = "stlab", kind: str = "StorageV2", sku: str = "Standard_LRS", **properties: Any
) -> str:
    id = f"{group}/providers/Microsoft.Storage/storageAccounts/{name}"
    body = {"location": "westeurope", "kind": kind, "sku": {"name": sku}, "properties": properties}
    return arm.put(id, body)["id"]


def put_policy(arm: Arm, account: str, *rules: dict[str, Any]) -> None:
    arm.put(f"{account}/managementPolicies/default", {"properties": {"policy": {"rules": list(rules)}}})


def rule(**changes: Any) -> dict[str, Any]:
    definition = {
        "filters": {"blobTypes": ["blockBlob"], "prefixMatch": ["lab/"]},
        "actions": {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": 30}}},
    }
    return {
        "name": "expire",
        "type": "Lifecycle",
        "definition": {**definition, **changes.pop("definition", {})},
        **changes,
    }


@pytest.mark.parametrize("name", ["ab", "a" * 25, "Upper", "with-hyphen", "dot.ted"])
def test_an_account_name_that_breaks_a_rule_is_refused_in_azures_words(arm: Arm, group: str, name: str) -> None:
    with pytest.raises(AzureError, match=f"{name} is not a valid storage account name") as refused:
        put_account(arm, group, name)
    assert refused.value.code == "AccountNameInvalid"


def test_an_account_name_is_unique_in_the_world(arm: Arm, group: str) -> None:
    put_account(arm, group)
    other = arm.put(group + "2", {"location": "westeurope"})["id"]
    with pytest.raises(AzureError, match="The storage account named stlab is already taken") as refused:
        put_account(arm, other)
    assert (refused.value.status, refused.value.code) == (409, "StorageAccountAlreadyTaken")


@pytest.mark.parametrize(
    ("kind", "sku"),
    [("StorageV2", "Premium_LRS"), ("BlobStorage", "Standard_LRS"), ("BlockBlobStorage", "Standard_LRS")],
)
def test_the_hierarchical_namespace_needs_a_fitting_kind(arm: Arm, group: str, kind: str, sku: str) -> None:
    with pytest.raises(AzureError, match="isHnsEnabled with kind"):
        put_account(arm, group, kind=kind, sku=sku, isHnsEnabled=True)


def test_the_hierarchical_namespace_cannot_be_switched(arm: Arm, group: str) -> None:
    put_account(arm, group)
    with pytest.raises(AzureError, match="The value 'True' is not allowed for property isHnsEnabled") as refused:
        put_account(arm, group, isHnsEnabled=True)
    assert refused.value.code == "InvalidRequestPropertyValue"


@pytest.mark.parametrize("name", ["ab", "Upper", "two--hyphens", "-first", "last-", "a" * 64])
def test_a_container_name_that_breaks_a_rule_is_refused(arm: Arm, group: str, name: str) -> None:
    account = put_account(arm, group)
    with pytest.raises(AzureError, match=r"The blob container name .* is invalid"):
        arm.put(f"{account}/blobServices/default/containers/{name}", {})


def test_a_container_needs_its_account_and_public_access_its_permission(arm: Arm, group: str) -> None:
    missing = f"{group}/providers/Microsoft.Storage/storageAccounts/stlab/blobServices/default/containers/lab"
    with pytest.raises(AzureError, match="Parent resource 'stlab' not found"):
        arm.put(missing, {})
    put_account(arm, group)
    with pytest.raises(AzureError, match="Public access is not permitted"):
        arm.put(missing, {"properties": {"publicAccess": "Blob"}})
    arm.put(missing, {"properties": {"publicAccess": "None"}})


def test_keys_open_containers_only_where_the_account_permits_it(arm: Arm, group: str) -> None:
    account = put_account(arm, group)
    arm.put(f"{account}/blobServices/default/containers/lab", {})
    keys = tuple(key["value"] for key in arm.list_keys(account)["keys"])
    assert arm.containers()[0].account_keys == keys
    put_account(arm, group, allowSharedKeyAccess=False)
    assert arm.containers()[0].account_keys == ()
    assert tuple(key["value"] for key in arm.list_keys(account)["keys"]) == keys, "they are still listed"


def test_endpoints_have_azures_form(arm: Arm, group: str) -> None:
    account = arm.get(put_account(arm, group))
    assert account
    assert account["properties"]["primaryEndpoints"]["dfs"] == "https://stlab.dfs.core.windows.net/"


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ([], "has 0 rules"),
        ([rule(name=f"r{number}") for number in range(101)], "has 101 rules"),
        ([rule(), rule(name="EXPIRE")], "used twice"),
        ([rule(name="with space")], "letters, digits and hyphens"),
        ([rule(type="Cleanup")], "must be Lifecycle"),
        ([rule(definition={"filters": {}})], "blobTypes"),
        ([rule(definition={"filters": {"blobTypes": ["pageBlob"]}})], "blobTypes"),
        ([rule(definition={"filters": {"blobTypes": ["blockBlob"], "prefixMatch": ["/lab"]}})], "name of a container"),
        ([rule(definition={"filters": {"blobTypes": ["blockBlob"], "prefixMatch": ["lab"] * 11}})], "11 prefixes"),
        ([rule(definition={"actions": {}})], "no action"),
        ([rule(definition={"actions": {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": -1}}}})], "-1 days"),
    ],
)
def test_a_lifecycle_rule_that_azure_refuses_is_refused(
    arm: Arm, group: str, rules: list[dict[str, Any]], reason: str
) -> None:
    account = put_account(arm, group)
    with pytest.raises(AzureError, match=reason):
        put_policy(arm, account, *rules)
    put_policy(arm, account, rule())


def test_a_lifecycle_policy_has_one_name(arm: Arm, group: str) -> None:
    account = put_account(arm, group)
    with pytest.raises(AzureError, match="must be 'default'") as refused:
        arm.put(f"{account}/managementPolicies/mine", {"properties": {"policy": {"rules": [rule()]}}})
    assert (refused.value.status, refused.value.code) == (404, "HttpResourceNotFound")
