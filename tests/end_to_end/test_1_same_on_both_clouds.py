"""The program asks both clouds for the same: names, properties and parents of everything that the engine registers."""

import json
from collections.abc import Iterator
from typing import Any

import yaml

from tests.command import ROOT

# How the engine marks a secret in a state.
_SIGNATURE = "4dabf18193072939515e22adb298388d"
# What the databricks provider fills in when it checks a file: the digest by which it sees a change.
_FILLED_IN = {".md5"}


def paths(value: Any, at: str = "") -> Iterator[str]:
    """The paths of all properties in a value; a secret is a leaf, whatever it holds."""
    if isinstance(value, dict) and _SIGNATURE not in value:
        for key, one in value.items():
            # The engine's own notes, such as the list of defaults.
            if not key.startswith("__"):
                yield f"{at}.{key}"
                yield from paths(one, f"{at}.{key}")
    elif isinstance(value, list):
        for one in value:
            yield from paths(one, f"{at}[]")


def key(urn: str) -> str:
    """`type::name` of a resource; empty for the stack and for none."""
    if not urn or "::pulumi:pulumi:Stack::" in urn:
        return ""
    qualified_type, name = urn.split("::")[-2:]
    return f"{qualified_type.rpartition('$')[2]}::{name}"


def test_both_clouds_are_asked_for_the_same(lab, azure_mocks):
    settings = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())["config"]
    recorded = azure_mocks.run_program(ROOT, {name: str(value) for name, value in settings.items()})
    on_azure = {one.key: (one.parent, sorted(set(paths(one.plain)))) for one in recorded.resources}

    stack = next((lab.state / "local/backend/.pulumi/stacks").rglob("dev.json"))
    resources = json.loads(stack.read_text())["checkpoint"]["latest"]["resources"]
    here = {
        key(one["urn"]): (key(one.get("parent", "")), sorted(set(paths(one.get("inputs", {}))) - _FILLED_IN))
        for one in resources
        if one["custom"] and not one["type"].startswith("pulumi:")
    }
    assert len(here) > 25
    assert here == on_azure


def test_no_secret_is_readable_in_the_engines_state(lab, azure_mocks):
    settings = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())["config"]
    recorded = azure_mocks.run_program(ROOT, {name: str(value) for name, value in settings.items()})
    secret = {
        (one.key, name) for one in recorded.resources for name, value in one.plain.items() if "[secret]" in str(value)
    }
    assert secret
    stack = next((lab.state / "local/backend/.pulumi/stacks").rglob("dev.json"))
    for one in json.loads(stack.read_text())["checkpoint"]["latest"]["resources"]:
        for name, value in {**one.get("inputs", {}), **one.get("outputs", {})}.items():
            if (key(one["urn"]), name) in secret:
                assert "ciphertext" in json.dumps(value)
