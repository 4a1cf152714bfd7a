"""The generator: the same data for the same seed, and a manifest that tells the truth about them."""

import json
from collections import Counter
from functools import cache

import pytest
from streaming_lab import generate, generator
from streaming_lab.layout import Layout
from streaming_lab.manifest import new_manifest, read_manifest, write_manifest

COUNT = 13_000


@pytest.fixture(scope="module")
def records(spark):
    """The collected records of a source, by number."""

    def make(source, seed="spring/ann", count=COUNT, partitions=1, scale=1.0):
        numbers = spark.range(0, count, 1, numPartitions=partitions).withColumnRenamed("id", "record")
        rows = generate.SOURCES[source][1](numbers, seed, scale).collect()
        return sorted((row["record"], row["kind"], row["body"]) for row in rows)

    return cache(make)


@pytest.mark.parametrize("source", ["activity", "events", "hub_events"])
def test_the_seed_alone_decides_the_data(records, source):
    first = records(source, count=400)
    assert records(source, count=400, partitions=3) == first
    assert records(source, seed="spring/ben", count=400) != first


@pytest.mark.parametrize(
    ("source", "duplicates"), [("activity", 0.0), ("events", 0.0), ("hub_events", generator.DUPLICATE)]
)
def test_the_kinds_have_the_stated_fractions(records, source, duplicates):
    kinds = Counter(kind for _, kind, _ in records(source))
    assert kinds["malformed"] / COUNT == pytest.approx(generator.MALFORMED, rel=0.3)
    assert kinds["late"] / COUNT == pytest.approx(generator.LATE, rel=0.2)
    assert kinds["unordered"] / COUNT == pytest.approx(generator.UNORDERED, rel=0.2)
    assert kinds["duplicate"] / COUNT == pytest.approx(duplicates, rel=0.2)


def test_late_and_unordered_events_are_as_far_behind_as_stated(records):
    behind = {"late": [], "unordered": [], "ordinary": []}
    for record, kind, body in records("events"):
        if kind in behind:
            behind[kind].append(generator.START + record * generator.EVENT_STEP_S - json.loads(body)["time"])
    assert 36 * 3600 - 5 < min(behind["late"]) < 37 * 3600 and 71 * 3600 < max(behind["late"]) <= 72 * 3600
    assert 0 <= max(behind["unordered"]) <= 90 * 60 < 2 * 3600
    assert -5 < min(behind["ordinary"]) <= max(behind["ordinary"]) <= 0


@pytest.mark.parametrize(("source", "field"), [("events", "time"), ("hub_events", "Arrival_Time")])
def test_above_scale_1_more_events_last_as_long_as_at_scale_1(records, source, field):
    def last(count, scale):
        rows = records(source, count=count, scale=scale)
        return max(json.loads(body)[field] for _, kind, body in rows if kind == "ordinary")

    start = generator.START * (1000 if field == "Arrival_Time" else 1)
    assert last(4_000, scale=4) - start == pytest.approx(last(1_000, scale=1) - start, rel=0.01)
    assert last(1_000, scale=0.25) == last(1_000, scale=1)


def test_a_duplicate_repeats_a_whole_event_of_the_last_51_records(records):
    rows = records("hub_events")
    bodies = {record: (kind, body) for record, kind, body in rows}
    for record, kind, body in rows:
        if kind == "duplicate":
            earlier = json.loads(body)["Index"]
            assert 1 <= record - earlier <= 51
            assert bodies[earlier][0] in ("ordinary", "unordered")
            assert bodies[earlier][1] == body
    ids = Counter(json.loads(body)["id"] for _, kind, body in rows if kind != "malformed")
    assert sum(ids.values()) - len(ids) == sum(kind == "duplicate" for _, kind, _ in rows)


def test_hub_events_have_the_fields_and_size_of_the_exercise(records):
    bodies = [body for _, kind, body in records("hub_events", count=2_000) if kind == "ordinary"]
    assert 310 <= sum(len(body.encode()) for body in bodies) / len(bodies) <= 370
    event = json.loads(bodies[0])
    assert set(event) == {
        "Arrival_Time", "Creation_Time", "Device", "Index", "Model", "User", "gt", "x", "y", "z", "geolocation", "id",
    }  # fmt: skip
    assert set(event["geolocation"]) == {"PostalCode", "StateProvince", "city", "country"}
    assert 20 <= event["Arrival_Time"] - event["Creation_Time"] / 1e6 <= 120


def test_activity_meets_every_user_in_every_activity_on_both_devices(records):
    samples = [json.loads(body) for _, kind, body in records("activity") if kind != "malformed"]
    assert len({(sample["User"], sample["gt"]) for sample in samples}) == 9 * 7
    assert {sample["Device"] for sample in samples} == {"nexus4_1", "nexus4_2"}
    standing = [sample["z"] for sample in samples if sample["gt"] == "stand"]
    assert sum(standing) / len(standing) == pytest.approx(generator.GRAVITY, abs=0.01)
    walking = [sample["z"] for sample in samples if sample["gt"] == "walk"]
    assert max(walking) - min(walking) == pytest.approx(2 * 2.5, abs=0.2)


def test_every_malformed_line_is_refused_by_the_exercise_that_reads_it(spark, root, run_task):
    from streaming_lab import concepts, windows
    from streaming_lab.schemas import ACTIVITY, EVENT

    run_task(generate, "--seed=spring/ann", "--scale=0.05")
    layout = Layout(root)
    sources = read_manifest(layout).sources
    for source, schema, exercise in (("activity", ACTIVITY, concepts), ("events", EVENT, windows)):
        frame = spark.read.schema(schema).json(layout.input(source))
        assert len(exercise.quarantine(frame).collect()) == sources[source].malformed > 0


def test_the_manifest_counts_what_is_in_the_files_in_their_order(spark, root, folder, run_task, capsys):
    run_task(generate, "--seed=spring/ann", "--scale=0.002")
    result = json.loads(capsys.readouterr().out.splitlines()[-1].removeprefix("streaming-lab-result: "))
    assert result["changed"] is True
    assert {name: (counts["records"], counts["files"]) for name, counts in result["manifest"]["sources"].items()} == {
        "activity": (120, 20),
        "events": (120, 20),
        "hub_events": (40, 20),
    }
    parts = sorted((folder / "exercises" / "input" / "hub_events").glob("part-*"))
    assert len(parts) == 20
    assert [json.loads(line)["record"] for part in parts for line in part.read_text().splitlines()] == list(range(40))
    modified = [part.stat().st_mtime_ns for part in parts]
    assert modified == sorted(modified)


def test_the_same_input_is_left_alone_and_another_one_clears_what_was_made_from_it(spark, root, folder):
    layout = Layout(root)
    first, changed = generate.generate(spark, layout, "spring/ann", 0.001)
    assert changed
    result = folder / "exercises" / "tables" / "activity" / "part.parquet"
    checkpoint = folder / "exercises" / "checkpoints" / "stream_1p" / "offsets"
    for path in (result, checkpoint):
        path.parent.mkdir(parents=True)
        path.touch()

    assert generate.generate(spark, layout, "spring/ann", 0.001) == (first, False)
    assert result.exists() and checkpoint.exists()

    second, changed = generate.generate(spark, layout, "spring/ben", 0.001)
    assert changed and second.id != first.id
    assert not result.exists() and not checkpoint.exists()

    # As after an interruption: files, but no whole manifest.
    write_manifest(layout, new_manifest("spring/ben", 0.001, {}))
    leftover = folder / "exercises" / "input" / "events" / "part-99999.txt"
    leftover.write_text("{}\n")
    third, changed = generate.generate(spark, layout, "spring/ben", 0.001)
    assert changed and third.id != second.id and third.sources == second.sources
    assert not leftover.exists()


def test_without_a_scale_the_one_asked_for_before_counts_also_after_an_interruption(spark, root, run_task, monkeypatch):
    layout = Layout(root)
    run_task(generate, "--seed=s", "--scale=0.002")
    run_task(generate, "--seed=s", "--scale=")
    assert read_manifest(layout).scale == 0.002

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(generate, "write_source", interrupted)
        run_task(generate, "--seed=s", "--scale=0.003")
    assert read_manifest(layout) is None
    run_task(generate, "--seed=s", "--scale=")
    assert read_manifest(layout).scale == 0.003


def test_above_scale_1_the_hub_s_files_become_more_and_not_larger(spark, root, monkeypatch):
    monkeypatch.setattr(generate, "HUB_EVENTS_A_FILE", 10)
    source = generate.write_source(spark, Layout(root), "hub_events", "s", 0.0205)
    lines = spark.read.text(Layout(root).input("hub_events")).groupBy("_metadata.file_name").count().collect()
    assert source.files == len(lines) == 41
    assert {line["count"] for line in lines} == {10}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--seed=s", "--scale=0"], "argument --scale: '0' is not a number above 0"),
        (["--seed=s", "--scale=nan"], "argument --scale: 'nan' is not a number above 0"),
        (["--seed=s", "--scale=many"], "argument --scale: 'many' is not a number above 0"),
        (["--scale=1"], "the following arguments are required: --seed"),
        (["--seed=s", "--dataset=live"], "argument --dataset: live is not generated, only exercises is"),
        (["--seed=s", "--root=lab"], "argument --root: 'lab' is not a URL"),
        (["--seed=s", "--sede=t"], "unrecognized arguments: --sede=t"),
    ],
)
def test_wrong_arguments_are_refused_in_one_sentence(run_task, folder, arguments, sentence):
    with pytest.raises(SystemExit) as refusal:
        run_task(generate, *arguments)
    assert str(refusal.value).startswith(sentence)
    assert list(folder.iterdir()) == []
