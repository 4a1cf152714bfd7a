"""A small checkout, and what the program registers from it."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent

# The wheel's project as the program expects it; the exercises themselves have their own tests.
PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "streaming_lab"
dynamic = ["version"]
requires-python = ">=3.11"

[project.scripts]
generate = "streaming_lab.generate:main"

[tool.hatch.version]
source = "env"
variable = "STREAMING_LAB_VERSION"

[tool.hatch.build.targets.wheel]
packages = ["streaming_lab"]
"""


def make_checkout(root: Path) -> Path:
    """A folder with the program, a small wheel project and notebooks."""
    (root / "jobs" / "streaming_lab").mkdir(parents=True)
    (root / "jobs" / "pyproject.toml").write_text(PYPROJECT)
    (root / "jobs" / "streaming_lab" / "__init__.py").write_text('"""The lab."""\n')
    (root / "jobs" / "streaming_lab" / "generate.py").write_text("def main():\n    print('made')\n")
    (root / "notebooks").mkdir()
    for name in ("01_concepts", "02_windows", "03_event_hubs"):
        (root / "notebooks" / f"{name}.py").write_text(f"# Databricks notebook source\n# {name}\n")
    (root / "__main__.py").write_text((ROOT / "__main__.py").read_text())
    return root


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return make_checkout(tmp_path)


@pytest.fixture(scope="session")
def settings() -> dict[str, str]:
    """The least that the program needs."""
    return {
        "streaming-lab:student": "ada",
        "streaming-lab:ownerEmail": "teacher@example.com",
        "streaming-lab:expiresOn": "2099-06-30",
    }


@pytest.fixture(scope="session")
def small_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="session")
def by_identity(azure_mocks: ModuleType, small_checkout: Path, settings: dict[str, str]) -> Any:
    """What is registered with the defaults: the deployer's own lab, storage by identity."""
    return azure_mocks.run_program(small_checkout, settings)


@pytest.fixture(scope="session")
def by_key(azure_mocks: ModuleType, small_checkout: Path, settings: dict[str, str]) -> Any:
    """What is registered for a student by a teacher, storage by key."""
    more = {"streaming-lab:storageAccess": "key", "streaming-lab:studentEmail": "ada@example.com"}
    return azure_mocks.run_program(small_checkout, {**settings, **more})


@pytest.fixture(scope="session")
def shared(azure_mocks: ModuleType, small_checkout: Path, settings: dict[str, str]) -> Any:
    """What is registered for a student by a teacher, storage by identity."""
    return azure_mocks.run_program(small_checkout, {**settings, "streaming-lab:studentEmail": "Ada@example.com"})


@pytest.fixture(params=["by_identity", "by_key"])
def either(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)
