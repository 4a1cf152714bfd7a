"""Small files on the lab's storage, through the dbutils of a cluster."""

from types import SimpleNamespace

import pytest
from streaming_lab import files, generate, windows
from streaming_lab.layout import Layout


def test_a_file_is_read_as_it_was_last_written(spark, root):
    path = f"{root}/deep/é.json"
    assert files.read_json(path) is None
    for value in ({"a": "é" * 500}, {"a": 1}):
        files.write_json(path, value)
        assert files.read_json(path) == value


def test_folders_are_made_listed_and_deleted(spark, root):
    files.make_folder(f"{root}/a/folder")
    files.write_json(f"{root}/a/file", {})
    assert files.names(f"{root}/a") == ["file", "folder"]
    files.delete(f"{root}/a")
    assert not files.exists(f"{root}/a")
    assert files.names(f"{root}/a") == []
    files.delete(f"{root}/a")


def test_a_storage_that_refuses_is_not_taken_for_an_empty_one(spark):
    for act in (files.exists, files.names, files.read_json, files.delete):
        with pytest.raises(Exception, match="lab@other"):
            act("abfss://lab@other.dfs.core.windows.net/a")


def test_an_error_that_a_missing_file_caused_is_told(spark, root, monkeypatch):
    def ls(path):
        raise RuntimeError(": java.io.IOException: broken\n\tat a.b(c)\nCaused by: java.io.FileNotFoundException: key")

    monkeypatch.setattr(files, "_fs", lambda: SimpleNamespace(ls=ls))
    with pytest.raises(RuntimeError, match="broken"):
        files.exists(root)


def test_what_could_not_be_read_again_is_not_written(spark, root):
    with pytest.raises(ValueError, match="1,000,000 can be read"):
        files.write_json(f"{root}/large", {"a": "x" * 1_000_000})
    assert not files.exists(f"{root}/large")


@pytest.mark.parametrize("torn", ["", '{\n "version": 1,', "[]\n"])
def test_what_a_file_that_was_not_written_to_its_end_told_is_made_anew(spark, root, folder, torn):
    layout = Layout(root)
    made, _ = generate.generate(spark, layout, "spring/ann", 0.001)
    windows.use_settings(layout, windows.Settings())
    files.make_folder(layout.table("windows_tumbling"))
    for path in (layout.manifest, layout.window_settings):
        (folder / path.removeprefix(f"{root}/")).write_text(torn)

    assert windows.read_settings(layout) == windows.Settings()
    windows.use_settings(layout, windows.Settings())
    assert not files.exists(layout.table("windows_tumbling"))
    again, changed = generate.generate(spark, layout, "spring/ann", 0.001)
    assert changed
    assert again.id != made.id
