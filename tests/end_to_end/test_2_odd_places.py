"""A lab in a place, and with an environment, that its author did not think of."""

import os
import stat
from pathlib import Path

import pytest

from tests.command import Lab, copy_checkout


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder named in Korean, with a space."""
    folder = tmp_path / "실습 공간"
    folder.mkdir()
    return folder


@pytest.fixture
def odd(place: Path) -> Lab:
    """A checkout there, with settings of the user's that are meant for other programs, in the locale C."""
    home, temporary, modules = (place / name for name in ("사용자", "임시 파일", "modules"))
    for folder in (home, temporary, modules):
        folder.mkdir()
    (modules / "pyspark.py").write_text("raise ImportError('another pyspark')\n")
    variables = {
        "STREAMING_LAB_STATE": "",
        "LC_ALL": "C",
        "HOME": str(home),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"),
        "TMPDIR": str(temporary),
        "PYTHONPATH": str(modules),
        "JAVA_TOOL_OPTIONS": "-Dnot.for.the.lab=1 -Xmx16m",
        "SPARK_HOME": "/nowhere",
        "SPARK_CONF_DIR": "/nowhere",
    }
    root = copy_checkout(place / "스트리밍 랩")
    return Lab(root / ".lab", variables, within=["sh", "-c", 'umask 000; exec "$@"', "sh"], root=root)


def test_a_lab_works_in_a_korean_folder_whatever_the_environment(odd: Lab, place: Path):
    beside = {path.name for path in place.iterdir()}
    try:
        odd("up")
        ledger = odd.json("run", "event_hubs", "--scale", "0.05")
        assert [row["remainder"] for row in ledger["exercises"]] == [0]
        open_to_others = [
            path
            for path in odd.state.rglob("*")
            if not path.is_symlink() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        ]
        # The folder itself is closed, and locks are made before anything else.
        assert odd.state.stat().st_mode & 0o077 == 0
        assert not open_to_others, open_to_others[0]
        assert [*(odd.state / "tmp").iterdir()], "the JVMs' own files are not in the user's temporary folder"
        assert not [*(place / "임시 파일").iterdir()]
    finally:
        assert odd.json("down") == {"leftovers": []}
    assert {path.name for path in place.iterdir()} == beside
    assert not odd.processes()
