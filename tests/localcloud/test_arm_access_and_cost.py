from typing import Any

import pytest

from localcloud.arm import Arm
from localcloud.errors import AzureError

CONTRIBUTOR = "/providers/Microsoft.Authorization/roleDefinitions/ba92f5b4-2d11-453d-a403-e96b0029c9fe"
READER = "/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7"
FIRST = "5d3b1d5c-3b5e-4b43-9a5e-000000000001"
SECOND = "5d3b1d5c-3b5e-4b43-9a5e-000000000002"


@pytest.fixture
def account(arm: Arm, group: str) -> str:
    id = f"{group}/providers/Microsoft.Storage/storageAccounts/stlab"
    return arm.put(id, {"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}})["id"]


@pytest.fixture
def connector(arm: Arm, group: str) -> dict[str, Any]:
    id = f"{group}/providers/Microsoft.Databricks/accessConnectors/dbac"
    return arm.put(id, {"location": "westeurope", "identity": {"type": "SystemAssigned"}})


def assign(arm: Arm, scope: str, principal: str, name: str = FIRST, role: str = CONTRIBUTOR, **more: str) -> None:
    properties = {"principalId": principal, "roleDefinitionId": role, "principalType": "ServicePrincipal", **more}
    arm.put(f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}", {"properties": properties})


def test_a_connector_may_write_where_its_identity_has_the_role(
    arm: Arm, group: str, account: str, connector: dict[str, Any]
) -> None:
    principal = connector["identity"]["principalId"]
    assert not arm.may_write_blobs(connector["id"], "stlab")
    assign(arm, account, principal, role=READER)
    assert not arm.may_write_blobs(connector["id"], "stlab"), "a reader writes nothing"
    assign(arm, account, principal, SECOND)
    assert arm.may_write_blobs(connector["id"].upper(), "stlab")
    assert not arm.may_write_blobs(connector["id"], "other")
    arm.delete(f"{account}/providers/Microsoft.Authorization/roleAssignments/{SECOND}")
    assert not arm.may_write_blobs(connector["id"], "stlab")
    assign(arm, group, principal, SECOND)
    assert arm.may_write_blobs(connector["id"], "stlab"), "a role on the group holds for what is in it"


def test_a_new_connector_of_the_same_name_is_another_principal(
    arm: Arm, account: str, connector: dict[str, Any]
) -> None:
    assign(arm, account, connector["identity"]["principalId"])
    arm.put(connector["id"], {"location": "westeurope", "identity": {"type": "SystemAssigned"}})
    assert arm.may_write_blobs(connector["id"], "stlab"), "an update keeps the identity"
    arm.delete(connector["id"])
    arm.put(connector["id"], {"location": "westeurope", "identity": {"type": "SystemAssigned"}})
    assert not arm.may_write_blobs(connector["id"], "stlab")


def test_one_principal_role_and_scope_has_one_assignment(arm: Arm, account: str, connector: dict[str, Any]) -> None:
    principal = connector["identity"]["principalId"]
    assign(arm, account, principal)
    with pytest.raises(AzureError, match="The role assignment already exists") as refused:
        assign(arm, account, principal, SECOND)
    assert (refused.value.status, refused.value.code) == (409, "RoleAssignmentExists")


def test_the_id_of_an_assignment_is_never_used_for_another(
    arm: Arm, group: str, account: str, connector: dict[str, Any]
) -> None:
    assign(arm, account, connector["identity"]["principalId"])
    for scope, role in ((account, READER), (group, CONTRIBUTOR)):
        with pytest.raises(AzureError) as refused:
            assign(arm, scope, connector["identity"]["principalId"], role=role)
        assert (refused.value.status, refused.value.code) == (400, "RoleAssignmentUpdateNotPermitted")


@pytest.mark.parametrize(
    ("change", "name", "code"),
    [
        ({"principalId": "someone"}, FIRST, "InvalidPrincipalId"),
        ({"roleDefinitionId": "Contributor"}, FIRST, "RoleDefinitionDoesNotExist"),
        ({"principalType": "User"}, FIRST, "UnmatchedPrincipalType"),
        ({}, "not-a-guid", "InvalidRoleAssignmentId"),
    ],
)
def test_an_assignment_that_makes_no_sense_is_refused(
    arm: Arm, account: str, connector: dict[str, Any], change: dict[str, str], name: str, code: str
) -> None:
    principal = {"principalId": connector["identity"]["principalId"], **change}.pop("principalId")
    more = {key: value for key, value in change.items() if key == "principalType"}
    role = change.get("roleDefinitionId", CONTRIBUTOR)
    with pytest.raises(AzureError) as refused:
        assign(arm, account, principal, name, role, **more)
    assert refused.value.code == code


def test_a_fresh_principal_is_found_only_when_its_type_is_given(
    arm: Arm, account: str, connector: dict[str, Any]
) -> None:
    body = {"properties": {"principalId": connector["identity"]["principalId"], "roleDefinitionId": CONTRIBUTOR}}
    with pytest.raises(AzureError, match="set the role assignment principalType property") as refused:
        arm.put(f"{account}/providers/Microsoft.Authorization/roleAssignments/{FIRST}", body)
    assert refused.value.code == "PrincipalNotFound"
    body["properties"]["principalId"] = arm.client_config()["objectId"]
    arm.put(f"{account}/providers/Microsoft.Authorization/roleAssignments/{FIRST}", body)


def test_an_assignment_needs_its_scope_and_goes_with_it(arm: Arm, account: str, connector: dict[str, Any]) -> None:
    principal = connector["identity"]["principalId"]
    with pytest.raises(AzureError, match="was not found"):
        assign(arm, account + "x", principal)
    assign(arm, account, principal)
    arm.delete(account)
    assert arm.list_below("/subscriptions", "Microsoft.Authorization/roleAssignments") == []


def put_budget(arm: Arm, group: str, start: str = "2026-05-01T00:00:00Z", **changes: Any) -> dict[str, Any]:
    notification = {"enabled": True, "operator": "GreaterThan", "threshold": 80, "contactEmails": ["t@example.org"]}
    body: dict[str, Any] = {
        "properties": {
            "category": "Cost",
            "amount": 50,
            "timeGrain": "Monthly",
            "timePeriod": {"startDate": start},
            "notifications": {"at80": notification},
        }
    }
    if "eTag" in changes:
        body["eTag"] = changes.pop("eTag")
    body["properties"] |= changes
    return arm.put(f"{group}/providers/Microsoft.Consumption/budgets/budget", body)


# The calendar of these tests says 15 May 2026.
@pytest.mark.parametrize(
    ("start", "grain", "reason"),
    [
        ("2026-05-02T00:00:00Z", "Monthly", "first day of a month"),
        ("2026-04-01T00:00:00Z", "Monthly", "current period"),
        ("2026-03-01T00:00:00Z", "Quarterly", "current period"),
        ("2025-12-01T00:00:00Z", "Annually", "current period"),
        ("2017-05-01T00:00:00Z", "Annually", "before 2017-06-01"),
        ("2027-06-01T00:00:00Z", "Monthly", "twelve months ahead"),
        ("tomorrow", "Monthly", "is not a date"),
    ],
)
def test_a_budget_starts_at_a_month_that_azure_takes(arm: Arm, group: str, start: str, grain: str, reason: str) -> None:
    with pytest.raises(AzureError, match=reason):
        put_budget(arm, group, start, timeGrain=grain)


@pytest.mark.parametrize(
    ("start", "grain"),
    [
        ("2026-05-01", "Monthly"),
        ("2026-04-01", "Quarterly"),
        ("2026-01-01", "Annually"),
        ("2027-05-01", "Monthly"),
    ],
)
def test_a_budget_may_start_inside_the_current_period_or_up_to_a_year_ahead(
    arm: Arm, group: str, start: str, grain: str
) -> None:
    period = put_budget(arm, group, start, timeGrain=grain)["properties"]["timePeriod"]
    assert period["startDate"] == f"{start}T00:00:00Z"


@pytest.mark.parametrize("name", ["", "x" * 64, "a.b", "예산"])
def test_a_budget_name_that_breaks_a_rule_is_refused(arm: Arm, group: str, name: str) -> None:
    with pytest.raises(AzureError, match=r"is invalid|is not the id"):
        arm.check_name(f"{group}/providers/Microsoft.Consumption/budgets/{name}")


def test_the_start_of_a_budget_never_changes_but_the_rest_does(arm: Arm, group: str) -> None:
    first = put_budget(arm, group)
    with pytest.raises(AzureError, match="Start date of budgets cannot be updated"):
        put_budget(arm, group, "2026-06-01T00:00:00Z")
    second = put_budget(arm, group, amount=60, eTag=first["eTag"])
    assert second["properties"]["amount"] == 60
    with pytest.raises(AzureError, match="stale"):
        put_budget(arm, group, amount=70, eTag=first["eTag"])


def note(**changes: Any) -> dict[str, Any]:
    return {"enabled": True, "operator": "GreaterThan", "threshold": 80, "contactEmails": ["t@example.org"], **changes}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"amount": 0.5}, "at least 1"),
        ({"category": "Usage"}, "must be Cost"),
        ({"timeGrain": "Weekly"}, "timeGrain 'Weekly'"),
        ({"timePeriod": {"startDate": "2026-05-01", "endDate": "2026-05-01"}}, "must be after"),
        ({"notifications": {f"n{number}": note() for number in range(6)}}, "6 notifications"),
        ({"notifications": {"n": note(threshold=1001)}}, "between 0 and 1000"),
        ({"notifications": {"n": note(contactEmails=[])}}, "at least one of"),
        ({"notifications": {"n": note(contactEmails=["t@example.org"] * 51)}}, "at most 50"),
    ],
)
def test_a_budget_that_azure_refuses_is_refused(arm: Arm, group: str, change: dict[str, Any], reason: str) -> None:
    with pytest.raises(AzureError, match=reason):
        put_budget(arm, group, **change)
