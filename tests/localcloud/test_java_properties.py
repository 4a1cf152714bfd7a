"""What Java reads in a `.properties` file, whose bytes it takes for Latin-1."""

import dataclasses
import re
from pathlib import Path

import pytest

from localcloud import java_properties
from localcloud.cluster.conf import write_conf
from localcloud.cluster.spec import ClusterSpec
from localcloud.eventhubs import kafka
from localcloud.settings import Settings

KOREAN = "실습 공간"


def read_back(text: str) -> str:
    """Text without the escapes, as `Properties.load` takes them off."""
    units = re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), text)
    return units.encode("utf-16", "surrogatepass").decode("utf-16")


@pytest.mark.parametrize("text", [KOREAN, "résumé", "a 😀 b"])
def test_escaped_text_is_ascii_and_reads_back(text: str) -> None:
    escaped = java_properties.escape(text)
    assert escaped.isascii()
    assert read_back(escaped) == text


def test_a_brokers_data_may_lie_in_a_korean_folder(tmp_path: Path) -> None:
    folder = tmp_path / KOREAN
    settings = Settings(tmp_path, Path("java"), tmp_path, tmp_path, Path("python"))
    kafka.prepare(settings, folder, 1)
    text = (folder / kafka.PROPERTIES).read_bytes().decode("latin-1")
    assert f"log.dirs={folder / 'data'}\n" in read_back(text)


def test_a_clusters_work_may_lie_in_a_korean_folder(tmp_path: Path) -> None:
    work = tmp_path / KOREAN
    spec = dataclasses.replace(ClusterSpec("c", 2, {}, {}, {}, tmp_path, "", ""), work_dir=work)
    text = (write_conf(spec) / "spark-defaults.conf").read_bytes().decode("latin-1")
    assert f"spark.local.dir {work / 'local'}\n" in read_back(text)
