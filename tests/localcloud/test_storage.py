import contextlib
import dataclasses
import itertools
import sys
import threading
from pathlib import Path

import pytest

from localcloud import storage
from localcloud.arm.views import Container
from localcloud.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "state", Path("java"), tmp_path, tmp_path, Path(sys.executable))


def container(account: str, name: str) -> Container:
    values = {"account": account, "name": name, "account_keys": ()}
    return Container(**{field.name: values[field.name] for field in dataclasses.fields(Container)})


def test_each_container_gets_a_folder_that_its_owner_alone_can_enter(settings):
    storage.reconcile(settings, [container("labdev", "lab"), container("labdev", "other")])
    folder = storage.folder(settings, "labdev", "lab")
    assert folder.is_dir()
    assert folder.stat().st_mode & 0o077 == 0
    assert storage.folder(settings, "labdev", "other").is_dir()


def test_what_is_in_a_container_survives_while_the_container_does(settings):
    lab, other = container("labdev", "lab"), container("labdev", "other")
    storage.reconcile(settings, [lab, other])
    (storage.folder(settings, "labdev", "lab") / "row").write_text("kept")
    storage.reconcile(settings, [lab])
    assert (storage.folder(settings, "labdev", "lab") / "row").read_text() == "kept"
    assert not storage.folder(settings, "labdev", "other").exists()


def test_a_deleted_account_leaves_nothing_behind(settings):
    storage.reconcile(settings, [container("labdev", "lab")])
    (storage.folder(settings, "labdev", "lab") / "row").write_text("gone")
    storage.reconcile(settings, [])
    assert list((settings.state / "storage").iterdir()) == []


def test_a_container_goes_while_a_stream_writes_in_it(settings):
    storage.reconcile(settings, [container("labdev", "lab")])
    folder = storage.folder(settings, "labdev", "lab")
    stop = threading.Event()

    def write() -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            with contextlib.suppress(OSError):
                (folder / f"batch-{number % 50}").mkdir(exist_ok=True)
                (folder / f"batch-{number % 50}" / "rows").write_text("rows")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(20):
            while not (folder.is_dir() and any(folder.iterdir())):
                storage.reconcile(settings, [container("labdev", "lab")])
            storage.reconcile(settings, [])
            assert not folder.exists()
    finally:
        stop.set()
        writer.join()
    storage.reconcile(settings, [])
    assert list((settings.state / "storage").iterdir()) == []


def test_files_of_others_among_the_containers_disturb_nobody_and_stay(settings):
    lab = container("labdev", "lab")
    storage.reconcile(settings, [lab, container("labold", "lab")])
    strangers = [settings.state / "storage" / name for name in (".DS_Store", "labdev/.DS_Store", "labold/.DS_Store")]
    for stranger in strangers:
        stranger.write_text("")
    storage.reconcile(settings, [lab])
    assert storage.folder(settings, "labdev", "lab").is_dir()
    assert not storage.folder(settings, "labold", "lab").exists()
    assert all(stranger.exists() for stranger in strangers)


def test_a_mount_is_named_by_the_whole_authority_and_points_to_a_file_uri(tmp_path):
    folder = tmp_path / "with space"
    folder.mkdir()
    conf = storage.mount_conf({"lab@labdev.dfs.core.windows.net": folder})
    link = conf["spark.hadoop.fs.viewfs.mounttable.lab@labdev.dfs.core.windows.net.linkFallback"]
    assert link == folder.resolve().as_uri()
    assert "%20" in link
