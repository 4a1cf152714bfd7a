"""The schemas say what the published SDKs say, and the checker names what is wrong."""

from typing import Any

import pytest

from localcloud.providers.schema import Schema, load
from localcloud.providers.wire import UNKNOWN, property_path


@pytest.mark.parametrize("package", ["azure_native", "databricks"])
def test_the_schema_is_the_one_of_the_installed_sdk(package: str) -> None:
    from localcloud.providers.schema import generate

    made = generate.build(package)
    kept = load(package)
    assert made["version"] == kept.version, "run python -m localcloud.providers.schema.generate"
    assert made["resources"] == kept.resources
    assert made["types"] == kept.types


def test_the_names_in_every_path_are_inputs_that_the_sdk_knows() -> None:
    from localcloud.providers.azure_shape import SHAPES

    for token, shape in SHAPES.items():
        assert set(shape.path_names) <= set(load("azure_native").resources[token]["properties"]), token


def problems(token: str, inputs: dict[str, Any], package: str = "azure_native") -> dict[str, str]:
    return {property_path(path): reason for path, reason in load(package).check(token, inputs)[1]}


def test_a_misspelt_property_is_named_with_the_right_one() -> None:
    assert problems("azure-native:eventhub:Namespace", {"resourceGroupName": "rg", "skuu": {"name": "Standard"}}) == {
        "skuu": "'skuu' is not a property here; did you mean 'sku'?"
    }


def test_the_place_of_a_nested_problem_is_told() -> None:
    task = {"taskKey": "a", "libraries": [{"whl": "/a.whl"}, {"wheel": "/a.whl"}], "maxRetries": "many"}
    assert problems("databricks:index/job:Job", {"tasks": [task]}, "databricks") == {
        "tasks[0].libraries[1].wheel": "'wheel' is not a property here; did you mean 'whl'?",
        "tasks[0].maxRetries": "must be of type integer, but is 'many'",
    }


def test_missing_properties_are_reported_in_the_plugins_words() -> None:
    assert problems("azure-native:eventhub:EventHub", {"eventHubName": "events"}) == {
        "namespaceName": "missing required property 'namespaceName'",
        "resourceGroupName": "missing required property 'resourceGroupName'",
    }


@pytest.mark.parametrize(
    ("inputs", "place", "reason"),
    [
        ({"kind": "StorageV3"}, "kind", "must be one of Storage, StorageV2"),
        ({"sku": "Standard_LRS"}, "sku", "must be an object, but is 'Standard_LRS'"),
        ({"isHnsEnabled": "maybe"}, "isHnsEnabled", "must be of type boolean, but is 'maybe'"),
        ({"isHnsEnabled": 1}, "isHnsEnabled", "must be of type boolean, but is 1"),
        ({"tags": ["a"]}, "tags", "must be an object, but is a list"),
        ({"tags": {"a.b": {}}}, 'tags["a.b"]', "must be of type string, but is an object"),
    ],
)
def test_a_wrong_value_is_named_with_its_rule(inputs: dict[str, Any], place: str, reason: str) -> None:
    sound = {"resourceGroupName": "rg", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    assert problems("azure-native:storage:StorageAccount", sound) == {}
    found = problems("azure-native:storage:StorageAccount", {**sound, **inputs})
    assert list(found) == [place]
    assert found[place].startswith(reason)


def test_what_a_preview_cannot_know_passes() -> None:
    inputs = {"resourceGroupName": UNKNOWN, "kind": UNKNOWN, "sku": {"name": UNKNOWN}, "tags": {"a": UNKNOWN}}
    assert problems("azure-native:storage:StorageAccount", inputs) == {}


PLAIN = Schema(
    {
        "version": "1",
        "types": {"inner": {"properties": {"b": "boolean"}, "required": []}},
        "resources": {
            "t": {
                "properties": {
                    "i": "integer", "n": "number", "b": "boolean", "s": "string",
                    "list": {"array": {"type": "inner"}}, "map": {"map": "string"},
                },
                "required": [],
            }
        },
    }
)  # fmt: skip


def test_numbers_and_flags_given_as_text_become_what_they_are_as_with_the_plugins() -> None:
    given = {"i": "-5", "n": "0.5", "b": "false", "s": 5, "list": [{"b": "true"}], "map": {"a": True, "c": 1.5}}
    checked, found = PLAIN.check("t", given)
    assert found == []
    assert checked == {"i": -5, "n": 0.5, "b": False, "s": "5", "list": [{"b": True}], "map": {"a": "true", "c": "1.5"}}
    assert given["i"] == "-5", "what the program gave stays as it is"


@pytest.mark.parametrize(
    "wrong", [{"i": "2.5"}, {"i": "²"}, {"i": True}, {"i": 2.5}, {"n": "many"}, {"b": "yes"}, {"b": 1}, {"s": []}]
)
def test_a_value_that_cannot_be_of_its_type_is_refused(wrong: dict[str, Any]) -> None:
    _, found = PLAIN.check("t", wrong)
    assert [path for path, _ in found] == [tuple(wrong)]
