"""Azure's name rules: Microsoft Learn, "Naming rules and restrictions for Azure resources"."""

import re
from itertools import product

import pytest

from infra.naming import COURSE_LENGTH, STUDENT_LENGTH, Names, id_rule, is_valid_id

SUBSCRIPTION = "0b1f6471-1bf0-4dda-aec3-111122223333"
COURSES = ("dp-203", "ab", "c" * 12, "a-b-c-d-e-f")
STUDENTS = ("dev", "a1", "s" * 20, "a-b-c-d-e-f-g-h-i-j", "x-1234567890123456-y")
# Name → (shortest, longest, pattern).
RULES = {
    "resource_group": (1, 90, r"[-\w._()]*[-\w_()]"),
    "managed_resource_group": (1, 90, r"[-\w._()]*[-\w_()]"),
    "namespace": (6, 50, r"[a-zA-Z][-a-zA-Z0-9]*[a-zA-Z0-9]"),
    "hub": (1, 256, r"[a-zA-Z0-9]([-._a-zA-Z0-9]*[a-zA-Z0-9])?"),
    "consumer_group": (1, 50, r"[a-zA-Z0-9]([-._a-zA-Z0-9]*[a-zA-Z0-9])?"),
    "storage_account": (3, 24, r"[a-z0-9]+"),
    "container": (3, 63, r"[a-z0-9](?!.*--)[a-z0-9-]*[a-z0-9]"),
    "workspace": (3, 64, r"[\w-]+"),
    "access_connector": (3, 64, r"[\w-]+"),
    "budget": (1, 63, r"[\w-]+"),
    "workspace_object": (1, 128, r"[\w.@-]+"),
    "metastore_object": (1, 255, r"[^\s./]+"),
}


@pytest.mark.parametrize("name", RULES)
def test_every_name_of_every_valid_id_is_one_that_the_service_takes(name: str) -> None:
    shortest, longest, pattern = RULES[name]
    for course, student in product(COURSES, STUDENTS):
        assert is_valid_id(course, COURSE_LENGTH), course
        assert is_valid_id(student, STUDENT_LENGTH), student
        text = getattr(Names(SUBSCRIPTION, course, student), name)
        assert shortest <= len(text) <= longest, text
        assert re.fullmatch(pattern, text, re.ASCII), text


@pytest.mark.parametrize("name", ["namespace", "storage_account", "metastore_object"])
def test_a_name_that_is_unique_in_the_world_differs_by_subscription_course_and_student(name: str) -> None:
    labs = [
        Names(SUBSCRIPTION, "dp-203", "dev"),
        Names(SUBSCRIPTION.replace("0", "1"), "dp-203", "dev"),
        Names(SUBSCRIPTION, "dp-700", "dev"),
        Names(SUBSCRIPTION, "dp-203", "dev2"),
        # The same letters once dashes are taken out and the rest is cut to Azure's length.
        Names(SUBSCRIPTION, "dp-203", "d-ev"),
        Names(SUBSCRIPTION, "dp-203", "s" * 19),
        Names(SUBSCRIPTION, "dp-203", "s" * 20),
    ]
    assert len({getattr(lab, name) for lab in labs}) == len(labs)


@pytest.mark.parametrize("student", ["ada-databricks", "databricks", "adadatabricks"])
def test_no_students_group_is_the_managed_group_of_another(student: str) -> None:
    assert not is_valid_id(student, STUDENT_LENGTH)
    assert "not end with a dash or with 'databricks'" in id_rule(STUDENT_LENGTH)
    assert is_valid_id("databricks-ada", STUDENT_LENGTH)


def test_the_names_are_the_same_in_every_run() -> None:
    # Written down: a change would leave what is deployed behind.
    names = Names(SUBSCRIPTION, "dp-203", "dev")
    assert names.namespace == "evhns-dp-203-dev-ea7cfbdb"
    assert names.storage_account == "stdevea7cfbdb"
    assert names.root == "abfss://lab@stdevea7cfbdb.dfs.core.windows.net"
    assert names.resource_group == "rg-dp-203-dev"
    assert names.managed_resource_group_id == (f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-dp-203-dev-databricks")
    assert names == Names(SUBSCRIPTION, "dp-203", "dev")


def test_a_subscription_in_capitals_is_the_same_subscription() -> None:
    assert Names(SUBSCRIPTION.upper(), "dp-203", "dev").namespace == Names(SUBSCRIPTION, "dp-203", "dev").namespace
