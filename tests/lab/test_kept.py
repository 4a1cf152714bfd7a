"""Keeping a student's data."""

from types import SimpleNamespace

import pytest

from lab.errors import LabError
from lab.kept import data_of, keep
from lab.leftovers import names_of
from lab.state import State

NAMES = names_of("dev", None, {"course": "c"}, "s")
ACCOUNT = {"type": "azure-native:storage:StorageAccount", "inputs": {"accountName": "stold"}}


@pytest.fixture
def cloud(project):
    """A cloud whose accounts `stold` and the one that the program names have a row each."""
    storage = project.state / "storage"
    for account in ("stold", NAMES.given.storage_account):
        (storage / account / "lab").mkdir(parents=True)
        (storage / account / "lab" / "part-0").write_text(account)
    return SimpleNamespace(storage=lambda: storage)


def test_the_data_are_those_of_the_recorded_account_and_move_to_a_folder_of_the_student(project, cloud):
    kept = keep(project, "dev", data_of(cloud, "dev", State([ACCOUNT], []), NAMES))
    assert kept.parent == project.state / "kept"
    assert kept.name.startswith("dev-")
    assert (kept / "lab" / "part-0").read_text() == "stold"
    assert not (cloud.storage() / "stold").exists()


def test_without_a_record_they_are_those_of_the_account_that_the_program_names(cloud):
    assert data_of(cloud, "dev", None, NAMES) == cloud.storage() / NAMES.given.storage_account


def test_without_a_record_and_without_data_nothing_is_taken_down(cloud):
    names = names_of("ada", None, {"course": "c"}, "s")
    with pytest.raises(LabError, match=r"no data of student ada is in .*/stada") as refused:
        data_of(cloud, "ada", None, names)
    assert refused.value.advice == "Run lab down without it."


def test_once_moved_there_is_nothing_more_to_move(project, cloud):
    state = State([ACCOUNT], [])
    keep(project, "dev", data_of(cloud, "dev", state, NAMES))
    assert data_of(cloud, "dev", state, NAMES) is None
    # The cloud makes the folder of a container that it still has again.
    (cloud.storage() / "stold" / "lab").mkdir(parents=True)
    assert data_of(cloud, "dev", state, NAMES) is None
    assert data_of(cloud, "dev", State([], []), NAMES) is None
