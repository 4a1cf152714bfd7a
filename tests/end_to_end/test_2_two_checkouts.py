"""Two checkouts on one machine: each has a lab of its own, and neither notices the other."""

from urllib.parse import urlsplit

from tests.command import Lab, copy_checkout


def ports(endpoint: dict) -> set[int]:
    """The ports on which a local cloud listens."""
    urls = [endpoint["arm"], *endpoint["workspaces"].values()]
    return {*(urlsplit(url).port for url in urls), *endpoint["providers"].values()}


def test_a_lab_in_another_checkout_comes_and_goes_without_a_trace_in_this_one(lab, tmp_path):
    other = Lab(tmp_path / ".lab", {"STREAMING_LAB_STATE": ""}, root=copy_checkout(tmp_path))
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
