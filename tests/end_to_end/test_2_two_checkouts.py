"""Two checkouts on one machine: each has a lab of its own, and neither notices the other."""

import shutil
import subprocess
from urllib.parse import urlsplit

from tests.command import ROOT, Lab


def ports(endpoint: dict) -> set[int]:
    """The ports on which a local cloud listens."""
    urls = [endpoint["arm"], *endpoint["workspaces"].values()]
    return {*(urlsplit(url).port for url in urls), *endpoint["providers"].values()}


def test_a_lab_in_another_checkout_comes_and_goes_without_a_trace_in_this_one(lab, tmp_path):
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, tracked.stdout.split("\0")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    other = Lab(tmp_path / ".lab", {"STREAMING_LAB_STATE": ""}, root=tmp_path)
    before, resources = lab.endpoint, lab.json("status")["resources"]
    try:
        assert "29 changed" in other("up")
        assert other.endpoint["pid"] != before["pid"]
        assert not ports(other.endpoint) & ports(before)
    finally:
        assert other.json("down") == {"leftovers": []}
    assert not other.processes()
    assert lab.endpoint == before
    assert lab.json("status")["resources"] == resources
