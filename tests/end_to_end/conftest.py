"""One real lab for these tests: brought up and run once by the `lab` command."""

from pathlib import Path

import pytest

from tests.command import LIMIT, lab_in


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(LIMIT)


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """A lab whose exercises have run once; `ledger` is what that run proved."""
    with lab_in(tmp_path_factory.mktemp("lab") / "state") as lab:
        lab.ledger = lab.json("run")
        yield lab
