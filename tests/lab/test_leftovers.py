"""What is deleted as a student's, what is told as left, and what is another's."""

from types import SimpleNamespace

import pytest
from databricks.sdk.errors import NotFound, PermissionDenied

from infra import naming
from lab.leftovers import Names, delete_metastore_objects, delete_remaining, leftovers, names_of
from lab.state import State

BUDGET = "/subscriptions/s/providers/Microsoft.Consumption/budgets/budget-{}"
WORKSPACE = "/subscriptions/s/resourceGroups/{}/providers/Microsoft.Databricks/workspaces/dbw"


class FakeArm:
    subscription = "s"

    def __init__(self, groups, resources=(), budgets=()):
        self._groups = groups
        self._resources = list(resources)
        self.budgets = set(budgets)

    def groups(self):
        return self._groups

    def resources(self):
        return self._resources

    def get(self, resource_id):
        return next((one for one in self._resources if one["id"] == resource_id), None)

    def delete(self, resource_id):
        self.budgets.discard(resource_id)

    def exists(self, resource_id):
        return resource_id in self.budgets

    def delete_group(self, name):
        self._groups = [group for group in self._groups if group["name"] != name]
        self._resources = [one for one in self._resources if f"/{name}/".lower() not in one["id"].lower()]


def group(name, managed_by=None, **tags):
    owner = {"managedBy": WORKSPACE.format(managed_by)} if managed_by else {}
    return {"id": f"/subscriptions/s/resourceGroups/{name}", "name": name, "tags": tags, **owner}


def names(course, student, state=None):
    return names_of(student, state, {"course": course}, "s")


def recorded(name):
    inputs = {"resourceGroupName": name}
    return {"urn": "urn:x", "type": "azure-native:resources:ResourceGroup", "inputs": inputs}


def test_the_managed_group_that_outlives_its_workspace_is_deleted_and_others_stay():
    kept = group("rg-c-ada", student="ada", course="c")
    managed = group("RG-c-dev-databricks", managed_by="rg-c-dev")
    storage = {"id": f"{managed['id'].upper()}/providers/M.S/storageAccounts/x", "name": "x"}
    arm = FakeArm([managed, kept], [storage])
    assert leftovers(arm, names("c", "dev")) == sorted([managed["id"], storage["id"]])
    delete_remaining(arm, names("c", "dev"))
    assert leftovers(arm, names("c", "dev")) == []
    assert arm.groups() == [kept]


def test_a_group_is_deleted_by_its_tags_or_by_the_record_whatever_its_tags():
    arm = FakeArm([group("rg-c-dev", student="dev", course="c"), group("rg-old", student="dev", course="old")])
    delete_remaining(arm, names("c", "dev", State([recorded("RG-Old")], [])))
    assert arm.groups() == []


def test_two_students_whose_ids_come_to_one_name_do_not_delete_each_others_lab():
    # Course dp with student a-b, and course dp-a with student b.
    theirs = [group("rg-dp-a-b", student="b", course="dp-a"), group("rg-dp-a-b-databricks", managed_by="rg-dp-a-b")]
    inside = {"id": f"{theirs[1]['id']}/providers/M.S/storageAccounts/x", "name": "x"}
    arm = FakeArm(list(theirs), [inside], [BUDGET.format("dp-a-b")])
    begun = State([], [{"type": "creating", "resource": recorded("rg-dp-a-b")}])
    for mine in (names("dp", "a-b"), names("dp", "a-b", begun)):
        delete_remaining(arm, mine)
        assert leftovers(arm, mine) == []
    assert arm.groups() == theirs
    assert arm.budgets
    delete_remaining(arm, names("dp-a", "b"))
    assert (arm.groups(), arm.budgets) == ([], set())


def test_a_students_group_is_not_the_managed_group_of_another():
    theirs = group("rg-c-ada-databricks", student="ada-databricks", course="c")
    arm = FakeArm([theirs])
    delete_remaining(arm, names("c", "ada"))
    assert leftovers(arm, names("c", "ada")) == []
    assert arm.groups() == [theirs]
    managed = group("rg-c-ada-databricks", managed_by="rg-c-ada")
    assert leftovers(FakeArm([managed]), names("c", "ada-databricks")) == []


@pytest.mark.parametrize("tags", [{}, {"by": "hand"}])
def test_a_group_with_the_name_and_no_sign_of_its_owner_is_told_and_not_touched(tags):
    stray = group("rg-c-dev", **tags)
    arm = FakeArm([stray])
    delete_remaining(arm, names("c", "dev"))
    assert leftovers(arm, names("c", "dev")) == [stray["id"]]


def test_a_tagged_group_of_another_name_is_a_leftover_that_is_told_and_not_touched():
    strays = [group("by-hand", student="dev", course="c"), group("other-course", student="dev", course="d")]
    arm = FakeArm(strays)
    delete_remaining(arm, names("c", "dev"))
    assert leftovers(arm, names("c", "dev")) == [strays[0]["id"]]


def test_names_are_the_programs_and_those_of_an_interrupted_first_up():
    begun = State([], [{"type": "creating", "resource": recorded("RG-Earlier")}])
    assert names("c", "dev", begun) == Names(
        groups=frozenset({"rg-earlier", "rg-c-dev", "rg-c-dev-databricks"}),
        tags={"student": "dev", "course": "c"},
        budgets={BUDGET.format("c-dev"): "rg-c-dev"},
        given=naming.Names("s", "c", "dev"),
    )


def test_budgets_outside_the_groups_are_leftovers_until_they_are_deleted():
    inputs = {"scope": "/subscriptions/s", "budgetName": "budget-earlier"}
    mine = names_of("dev", State([{"type": "azure-native:consumption:Budget", "inputs": inputs}], []), {}, "s")
    arm = FakeArm([], [], [BUDGET.format("earlier"), BUDGET.format("c-ada")])
    assert leftovers(arm, mine) == [BUDGET.format("earlier")]
    delete_remaining(arm, mine)
    assert leftovers(arm, mine) == []
    assert arm.budgets == {BUDGET.format("c-ada")}


class FakeObjects:
    """Credentials or locations of a metastore; `refusal` is what every deletion answers."""

    def __init__(self, refusal=None):
        self.deleted = []
        self.refusal = refusal

    def delete(self, name, force):
        if self.refusal:
            raise self.refusal
        self.deleted.append((name, force))


def in_metastore(report, locations, credentials):
    """Delete the objects of student dev's workspace, beside which another's stands; gives the URLs that were asked."""
    workspaces = [
        {
            "id": WORKSPACE.format(f"rg-c-{student}"),
            "type": "Microsoft.Databricks/workspaces",
            "tags": {"student": student, "course": "c"},
            "properties": {"workspaceUrl": f"adb-{student}"},
        }
        for student in ("dev", "ada")
    ]
    asked = []

    def workspace(outputs):
        asked.append((outputs["workspaceUrl"], outputs["workspaceResourceId"]))
        return SimpleNamespace(external_locations=locations, storage_credentials=credentials)

    delete_metastore_objects(SimpleNamespace(workspace=workspace), FakeArm([], workspaces), names("c", "dev"), report)
    assert asked == [("adb-dev", workspaces[0]["id"])]


def test_without_a_record_the_metastore_is_cleared_through_the_students_workspace(report):
    locations, credentials = FakeObjects(NotFound("no such location")), FakeObjects()
    in_metastore(report, locations, credentials)
    assert credentials.deleted == [(naming.Names("s", "c", "dev").metastore_object, True)]
    assert report.lines == []


def test_a_metastore_that_refuses_is_told_and_stops_nothing(report):
    in_metastore(report, FakeObjects(PermissionDenied("no MANAGE")), FakeObjects())
    [(what, text)] = report.lines
    assert what == "unknown"
    assert text.endswith(f"{naming.Names('s', 'c', 'dev').metastore_object} (no MANAGE)")
