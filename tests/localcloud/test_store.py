import stat
import threading
from pathlib import Path

import pytest

from localcloud.store import Store


def test_what_was_put_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "cloud.db"
    first = Store(path)
    first.put("arm", "a", {"name": "é", "list": [1, None]})
    assert first.next_id("job") == 1
    first.close()
    again = Store(path)
    assert again.get("arm", "a") == {"name": "é", "list": [1, None]}
    assert again.get("other", "a") is None
    assert again.next_id("job") == 2
    again.close()


def test_a_list_is_in_order_of_creation_and_a_prefix_is_taken_literally(store: Store) -> None:
    for key in ("b_1", "a", "bx1", "b%"):
        store.put("k", key, {})
    store.put("k", "b_1", {"changed": True})
    assert [key for key, _ in store.list("k")] == ["b_1", "a", "bx1", "b%"]
    assert store.list("k", "b_") == [("b_1", {"changed": True})]
    assert store.list("k", "b%") == [("b%", {})]


def test_a_failed_transaction_leaves_nothing_even_when_nested(store: Store) -> None:
    store.put("k", "kept", {"n": 1})
    with pytest.raises(ValueError, match="stop"), store.transaction():
        store.put("k", "kept", {"n": 2})
        with store.transaction():
            store.put("k", "new", {})
        assert store.delete("k", "kept")
        raise ValueError("stop")
    assert store.list("k") == [("kept", {"n": 1})]
    assert not store.delete("k", "new")


def test_threads_get_different_numbers(store: Store) -> None:
    numbers: list[int] = []
    threads = [threading.Thread(target=lambda: numbers.extend(store.next_id("n") for _ in range(50))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 201))


def test_no_file_of_the_store_is_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "cloud.db"
    path.write_bytes(b"")
    path.chmod(0o644)
    store = Store(path)
    store.put("k", "key", {"secret": "x"})
    files = list(tmp_path.iterdir())
    assert len(files) > 1, "the journal exists while the store is open"
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    store.close()


def test_a_deleted_value_does_not_stay_in_the_files(tmp_path: Path) -> None:
    store = Store(tmp_path / "cloud.db")
    store.put("k", "key", {"secret": "needle-in-the-file"})
    store.delete("k", "key")
    store.close()
    assert all(b"needle-in-the-file" not in file.read_bytes() for file in tmp_path.iterdir())
