import errno
import io
import tempfile
import zipfile
from pathlib import Path

import pytest

from infra import content


def test_the_wheel_s_version_changes_when_a_source_changes_and_only_then(checkout: Path) -> None:
    first_name, first = content.build_wheel(checkout / "jobs")
    assert content.build_wheel(checkout / "jobs") == (first_name, first)
    source = checkout / "jobs" / "streaming_lab" / "generate.py"
    source.write_text(source.read_text() + "\n")
    second_name, _ = content.build_wheel(checkout / "jobs")
    assert second_name != first_name
    for name in (first_name, second_name):
        assert name.startswith("streaming_lab-1.0.0+")
        assert name.endswith("-py3-none-any.whl")


def test_a_source_that_is_added_renamed_or_configured_anew_changes_the_version(checkout: Path) -> None:
    package = checkout / "jobs" / "streaming_lab"
    names = [content.build_wheel(checkout / "jobs")[0]]
    (package / "data.json").write_text("{}")
    names.append(content.build_wheel(checkout / "jobs")[0])
    (package / "data.json").rename(package / "other.json")
    names.append(content.build_wheel(checkout / "jobs")[0])
    project = checkout / "jobs" / "pyproject.toml"
    project.write_text(project.read_text().replace("generate:main", "generate:run"))
    names.append(content.build_wheel(checkout / "jobs")[0])
    assert len(set(names)) == 4


def test_what_python_leaves_behind_does_not_change_the_version(checkout: Path) -> None:
    name, _ = content.build_wheel(checkout / "jobs")
    cache = checkout / "jobs" / "streaming_lab" / "__pycache__"
    cache.mkdir()
    (cache / "generate.cpython-311.pyc").write_bytes(b"compiled")
    assert content.build_wheel(checkout / "jobs")[0] == name


def test_the_wheel_holds_the_package_and_its_entry_points(checkout: Path) -> None:
    name, wheel = content.build_wheel(checkout / "jobs")
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        version = name.split("-")[1]
        entry_points = archive.read(f"streaming_lab-{version}.dist-info/entry_points.txt").decode()
        assert "streaming_lab/generate.py" in archive.namelist()
    assert "generate = streaming_lab.generate:main" in entry_points


def test_the_build_leaves_nothing_in_the_checkout(checkout: Path) -> None:
    before = sorted(checkout.rglob("*"))
    content.read(checkout)
    assert sorted(checkout.rglob("*")) == before


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("notebooks/02_windows.py", "the notebook {path} can't be read: no such file or directory"),
        ("jobs/pyproject.toml", "the wheel's project file {path} can't be read: no such file or directory"),
        ("jobs/streaming_lab/__init__.py", "the wheel's package {parent} is missing"),
    ],
)
def test_a_missing_source_is_named(checkout: Path, missing: str, sentence: str) -> None:
    path = checkout / missing
    path.unlink()
    with pytest.raises(content.ContentError) as refused:
        content.read(checkout)
    assert str(refused.value) == sentence.format(path=path, parent=path.parent)


def test_an_unreadable_source_of_the_wheel_is_named(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = checkout / "jobs" / "streaming_lab" / "generate.py"
    read = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path == source:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return read(path)

    # Not by the file's mode: root may read everything.
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(content.ContentError, match=r"^the wheel of .* can't be built: .*Permission.*generate\.py'$"):
        content.read(checkout)


def test_a_temporary_folder_that_can_not_be_used_is_named(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(checkout / "gone"))
    with pytest.raises(content.ContentError, match=r"^the wheel of .* can't be built: .*gone.*$"):
        content.read(checkout)


def test_a_wheel_that_can_not_be_built_is_refused_in_one_sentence(checkout: Path) -> None:
    (checkout / "jobs" / "pyproject.toml").write_text("[project\n")
    with pytest.raises(content.ContentError, match=r"^the wheel of .*jobs can't be built: .+$"):
        content.build_wheel(checkout / "jobs")
