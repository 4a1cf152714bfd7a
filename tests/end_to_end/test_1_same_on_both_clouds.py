"""The program asks both clouds for the same: names, properties and parents of everything that the engine registers."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import yaml

from tests.command import ROOT

# How the engine marks a secret in a state.
_SIGNATURE = "4dabf18193072939515e22adb298388d"
# What the databricks provider fills in: the digest by which it sees a file change, and that a user is active.
_FILLED_IN = {".md5", ".active"}


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


def asked_of_azure(azure_mocks, more=()):
    """Parent and property paths of each resource, by `type::name`, that the program registers on Azure."""
    settings = {**yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())["config"], **dict(more)}
    recorded = azure_mocks.run_program(ROOT, {name: str(value) for name, value in settings.items()})
    return {one.key: (one.parent, sorted(set(paths(one.plain)))) for one in recorded.resources}


def asked_here(resources):
    """The same out of the engine's own view of resources."""
    return {
        key(one["urn"]): (key(one.get("parent", "")), sorted(set(paths(one.get("inputs", {}))) - _FILLED_IN))
        for one in resources
        if one["custom"] and not one["type"].startswith("pulumi:")
    }


def test_both_clouds_are_asked_for_the_same(lab, azure_mocks):
    stack = next((lab.state / "local/backend/.pulumi/stacks").rglob("dev.json"))
    here = asked_here(json.loads(stack.read_text())["checkpoint"]["latest"]["resources"])
    assert len(here) > 25
    assert here == asked_of_azure(azure_mocks)


def test_both_clouds_would_be_asked_for_the_same_for_a_student_with_storage_by_key(
    lab, azure_mocks, monkeypatch, tmp_path
):
    more = {"streaming-lab:storageAccess": "key", "streaming-lab:studentEmail": "ada@example.com"}
    # The preview keeps what it is given in the stack's file: not in the lab's own.
    file = shutil.copy(lab.state / "local/Pulumi.dev.yaml", tmp_path)
    given = " ".join(f"-c {name}={value}" for name, value in more.items())
    preview = f"pulumi preview --json --show-sames --non-interactive --config-file {file} {given}"
    done = subprocess.run(
        ["sh", "-c", f"{lab('env')}\n{preview}"], cwd=ROOT, env=lab.environment, stdout=subprocess.PIPE, check=True
    )
    here = asked_here(step["newState"] for step in json.loads(done.stdout)["steps"] if "newState" in step)
    # The cluster's setting for the key names the account, whose name tells the subscription.
    monkeypatch.setattr(azure_mocks, "SUBSCRIPTION", lab.outputs()["subscriptionId"])
    assert here == asked_of_azure(azure_mocks, more)


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
