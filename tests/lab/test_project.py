"""Where things are, and the configuration of a stack."""

import shutil
from types import SimpleNamespace

import pytest

from lab.errors import LabError
from lab.project import ensure_usable, find, stack_config, text, write_private


def test_the_project_is_found_from_a_folder_below_it(project, monkeypatch):
    below = project.root / "jobs" / "deep"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert find() == project


def test_the_state_folder_can_be_chosen(project, monkeypatch, tmp_path):
    monkeypatch.setenv("STREAMING_LAB_STATE", str(tmp_path / "elsewhere"))
    assert find().state == tmp_path / "elsewhere"


def test_values_are_texts_as_pulumi_passes_them(project):
    config = stack_config(project, "dev", {}, ())
    assert config.of("streaming-lab") == {"hubPartitions": "2", "noPublicIp": "false", "student": "dev"}
    assert text({"a": [1]}) == '{"a": [1]}'


def test_a_students_own_file_holds_what_differs_from_the_common_one(project):
    (project.root / "Pulumi.ada.yaml").write_text("config: {'streaming-lab:hubPartitions': 4}\n")
    ada = stack_config(project, "ada", {}, ()).of("streaming-lab")
    assert ada == {"hubPartitions": "4", "noPublicIp": "false", "student": "ada"}
    assert stack_config(project, "bob", {}, ()).of("streaming-lab")["hubPartitions"] == "2"


def test_an_override_wins_over_the_file_and_a_new_one_over_a_kept_one(project):
    kept = {"streaming-lab:hubPartitions": "8", "streaming-lab:location": "northeurope"}
    config = stack_config(project, "dev", kept, ["hubPartitions=16", "azure-native:location=x=y"])
    assert config.values["streaming-lab:hubPartitions"] == "16"
    assert config.values["azure-native:location"] == "x=y"
    assert config.overrides == {**kept, "streaming-lab:hubPartitions": "16", "azure-native:location": "x=y"}


def test_a_namespace_that_nothing_reads_is_refused_with_those_that_are_read(project):
    with pytest.raises(LabError, match="streming-lab:hubPartitions: the namespace streming-lab is none of") as refused:
        stack_config(project, "dev", {}, ["streming-lab:hubPartitions=3"])
    assert "streaming-lab, pulumi, azure-native, databricks" in refused.value.message
    assert refused.value.code == 2


def test_a_deleted_working_directory_is_named(project, monkeypatch):
    gone = project.root / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(LabError, match="the working directory was deleted"):
        find()


def test_a_file_that_is_no_yaml_is_named(project):
    (project.root / "Pulumi.dev.yaml").write_text("config: [unclosed\n")
    with pytest.raises(LabError, match=r"Pulumi\.dev\.yaml is not YAML"):
        stack_config(project, "dev", {}, ())


def test_a_state_folder_that_is_a_file_is_refused_in_one_sentence(project):
    project.state.write_text("in the way")
    with pytest.raises(LabError, match=r"\.lab can't be written \(file exists\)") as refused:
        ensure_usable(project.state)
    assert "STREAMING_LAB_STATE" in refused.value.advice


def test_a_disk_without_room_for_a_lab_is_refused_with_what_it_needs(project, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=12_300_000))
    with pytest.raises(LabError, match=r"disk: 12 MB are free for .*\.lab, a lab needs 250 MB"):
        ensure_usable(project.state)


def test_private_files_are_for_their_owner_alone_and_never_half_written(tmp_path):
    file = tmp_path / "new" / "secret"
    write_private(file, "one")
    write_private(file, "two")
    assert file.read_text() == "two"
    assert file.stat().st_mode & 0o077 == 0
    assert [path.name for path in file.parent.iterdir()] == ["secret"]
