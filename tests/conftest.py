"""Helpers that more than one room's tests use."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parent.parent

TOGETHER = ("tests/end_to_end/", "tests/jobs/")
"""Folders whose tests share one lab, or one Spark: they run in one process, in the files' order."""


class Rooms(LoadScopeScheduling):
    """Share the tests out over processes by file, or by folder where a folder's files belong together."""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in TOGETHER if nodeid.startswith(folder)), nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Rooms:
    return Rooms(config, log)


@pytest.fixture(scope="session")
def azure_mocks() -> ModuleType:
    """tests/infra/azure_mocks.py: `run_program(root, config)` records what the program asks a cloud for."""
    path = ROOT / "tests" / "infra" / "azure_mocks.py"
    spec = importlib.util.spec_from_file_location("azure_mocks", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["azure_mocks"] = module
    spec.loader.exec_module(module)
    return module
