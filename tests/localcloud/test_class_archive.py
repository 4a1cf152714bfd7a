"""The archive of Spark's classes that set-up made, and what a JVM does with one that is not its own."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import toolchain
from localcloud.cluster import archive
from localcloud.settings import Settings


@pytest.fixture
def machine(tmp_path):
    return Settings(tmp_path, toolchain.java(), toolchain.jars("spark"), toolchain.jars("kafka"), Path(sys.executable))


def test_a_driver_maps_the_archive_that_set_up_made(machine):
    if not toolchain.class_archive().exists():
        pytest.skip("this Java made none")
    assert archive.usable(machine, toolchain.class_archive())


def test_it_belongs_to_one_class_path(machine, tmp_path):
    assert not archive.usable(replace(machine, spark_jars=tmp_path), toolchain.class_archive())


@pytest.mark.parametrize("content", [None, b"no archive"])
def test_a_jvm_starts_without_a_word_where_the_archive_is_missing_or_broken(machine, tmp_path, content):
    broken = tmp_path / "spark.jsa"
    if content:
        broken.write_bytes(content)
    assert not archive.usable(machine, broken)
    started = subprocess.run(
        [machine.java, *archive.using(broken), "-XX:+UseSerialGC", "-version"], capture_output=True, text=True
    )
    assert started.returncode == 0
    assert started.stdout == ""
    assert "archive" not in started.stderr
