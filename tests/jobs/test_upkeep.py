"""What keeps a live lab from filling the disk."""

import os
import threading
import time

from streaming_lab import files, upkeep


def test_old_rows_go_with_their_files_and_new_ones_stay(spark, root, folder, monkeypatch):
    monkeypatch.setattr(upkeep, "FILES_KEPT_HOURS", 0.0)
    path = f"{root}/table"
    for minute in range(0, 40, 10):
        row = spark.sql(f"SELECT timestamp'2026-01-01 00:{minute:02}:00' AS at, {minute} AS minute")
        row.coalesce(1).write.format("delta").mode("append").save(path)
    upkeep.keep_latest(spark, path, "at", "10 minutes")()
    assert sorted(row.minute for row in spark.read.format("delta").load(path).collect()) == [20, 30]
    assert len(list((folder / "table").glob("*.parquet"))) == 1


def test_an_empty_table_is_left_alone(spark, root):
    path = f"{root}/table"
    spark.sql("SELECT timestamp'2026-01-01' AS at WHERE false").write.format("delta").save(path)
    upkeep.keep_latest(spark, path, "at", "10 minutes")()
    assert spark.read.format("delta").load(path).count() == 0


def test_only_old_data_files_of_a_folder_are_deleted(spark, root, folder):
    input_folder = folder / "input"
    input_folder.mkdir()
    for name, age in (("part-old", 100), ("part-new", 10), ("manifest", 100)):
        (input_folder / name).write_text("{}")
        os.utime(input_folder / name, (time.time() - age, time.time() - age))
    files.delete_older(f"{root}/input", 50)
    assert sorted(path.name for path in input_folder.iterdir()) == ["manifest", "part-new"]
    files.delete_older(f"{root}/nowhere", 50)


def test_chores_are_done_until_the_task_ends_whatever_one_of_them_raises(monkeypatch):
    from pyspark.errors import AnalysisException

    monkeypatch.setattr(upkeep, "EVERY", 0.01)
    done = threading.Event()
    rounds = []

    def fail():
        raise AnalysisException("the table is not there yet")

    def count():
        rounds.append(1)
        if len(rounds) == 3:
            done.set()

    with upkeep.Upkeep([fail, count]) as running:
        assert done.wait(30)
    assert not running.is_alive()
