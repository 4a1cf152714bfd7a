"""Helpers that more than one room's tests use."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


TOGETHER = ("end_to_end", "jobs")
"""Folders whose tests share one lab, or one Spark: they run in one process, the first in the files' order."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests stay together when pytest-xdist shares them out."""
    for item in items:
        path = item.path.relative_to(ROOT / "tests")
        item.add_marker(pytest.mark.xdist_group(path.parts[0] if path.parts[0] in TOGETHER else str(path)))


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
