"""The schemas say what the published SDKs say, and the checker names what is wrong."""

import importlib
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


def test_every_output_is_one_that_the_sdk_knows() -> None:
    from pulumi import _types

    from localcloud.providers.azure_shape import SHAPES

    for token, shape in SHAPES.items():
        _, module, name = token.split(":")
        resource = getattr(importlib.import_module(f"pulumi_azure_native.{module}"), name)
        arguments = getattr(importlib.import_module(f"pulumi_azure_native.{module}"), f"{name}Args")
        assert set(shape.path_names) <= set(_types.input_type_types(arguments)), token
        assert {"name", "type", "azureApiVersion"} <= set(_types.resource_types(resource)), token


def problems(token: str, inputs: dict[str, Any], package: str = "azure_native") -> dict[str, str]:
    return {property_path(path): reason for path, reason in load(package).problems(token, inputs)}


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


def test_numbers_and_flags_given_as_text_pass_as_with_the_plugins() -> None:
    schema = Schema(
        {
            "version": "1",
            "types": {},
            "resources": {"t": {"properties": {"n": "integer", "b": "boolean", "s": "string"}, "required": []}},
        }
    )
    assert schema.problems("t", {"n": "5", "b": "true", "s": 5}) == []
    assert len(schema.problems("t", {"n": True, "b": "yes", "s": []})) == 3
