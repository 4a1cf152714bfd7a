"""A hub that others use too, that forgets, and that is replaced: the bounded run ends, and its ledger balances."""

import json
import sys
import time

import pytest
from streaming_lab import event_hubs, files, generate, hub_runs, publish, verify
from streaming_lab.connection import write_options
from streaming_lab.layout import Layout
from streaming_lab.schemas import HUB_LINE

pytest_plugins = ["tests.jobs.broker"]

EVENTS = 400


MORE = {publish: ["--rate=2000"], event_hubs: [], verify: ["--exercises=event_hubs"]}
"""The arguments that not every task of the exercise has."""


@pytest.fixture
def run_hub_task(spark, root, monkeypatch):
    """Run one of exercise 3's tasks as the job does."""
    generate.generate(spark, Layout(root), "spring/ann", EVENTS / 20_000)

    def run(task, hub):
        connections = {"event-hubs-send": hub.send, "event-hubs-listen": hub.listen}
        monkeypatch.setattr(task, "from_secret", lambda _, key: connections[key])
        arguments = [f"--root={root}", "--scope=lab", "--consumer-group=lab", *MORE[task]]
        monkeypatch.setattr(sys, "argv", ["streaming_lab", *arguments])
        task.main()

    return run


@pytest.fixture
def run_exercise(run_hub_task, capsys):
    """Run all of exercise 3's tasks; returns what they printed and the exercise's ledger."""

    def run(hub):
        for task in MORE:
            run_hub_task(task, hub)
        printed = capsys.readouterr().out
        [ledger] = json.loads(printed.splitlines()[-1].removeprefix("streaming-lab-result: "))["exercises"]
        return printed, ledger

    return run


def send_foreign(spark, hub, count, run="live"):
    bodies = spark.range(count).selectExpr(f"{EVENTS} + id AS record", "concat('foreign ', id) AS body")
    assert bodies.columns == HUB_LINE.names
    publish.messages(bodies, run).write.format("kafka").options(**write_options(hub.send)).save()


def batches(root, query):
    return len([name for name in files.names(f"{Layout(root).checkpoint(query)}/offsets") if name.isdigit()])


def test_the_events_of_others_neither_hold_up_a_run_nor_unbalance_it(spark, root, broker, run_exercise):
    hub = broker.hub("shared")
    send_foreign(spark, hub, 20_000)  # far more than the 1,000 of a batch
    printed, first = run_exercise(hub)
    assert (first["sent"], first["remainder"]) == (EVENTS, 0)
    assert batches(root, "event_hubs") <= 2

    send_foreign(spark, hub, 150_000)  # more than the 100 batches that Spark keeps by default
    started = time.monotonic()
    printed, second = run_exercise(hub)
    assert time.monotonic() - started < 15
    assert "publish: all 400 events are in the hub already" in printed
    assert "event_hubs: all events of the run are in the tables already" in printed
    assert second == first
    assert batches(root, "event_hubs") <= 2


def test_an_interrupted_reader_ends_at_the_run_s_last_event(spark, root, broker, run_exercise):
    hub = broker.hub("interrupted")
    run_exercise(hub)
    layout = Layout(root)
    for query, table in event_hubs.HUB_TABLES.items():
        files.delete(layout.checkpoint(query))
        files.delete(layout.table(table))
    send_foreign(spark, hub, 50_000)
    _, ledger = run_exercise(hub)
    assert (ledger["sent"], ledger["remainder"]) == (EVENTS, 0)
    assert batches(root, "event_hubs") <= 3


@pytest.mark.parametrize("partitions", [1, 4])
def test_a_run_begins_anew_in_a_hub_that_was_replaced(spark, root, broker, run_exercise, partitions):
    hub = broker.hub(f"replaced-{partitions}")
    run_exercise(hub)
    before = hub_runs.saved_run(Layout(root))
    printed, ledger = run_exercise(broker.replace(hub.name, partitions))
    assert "the hub has lost the events: its retention is over, or it is another hub. All are sent anew." in printed
    assert (ledger["sent"], ledger["remainder"]) == (EVENTS, 0)
    assert hub_runs.saved_run(Layout(root)).name != before.name


def test_what_the_hub_forgot_before_it_was_read_is_sent_again(spark, root, broker, run_exercise):
    hub = broker.hub("forgotten")
    run_exercise(hub)
    layout = Layout(root)
    for query in event_hubs.HUB_TABLES:
        files.delete(layout.checkpoint(query))
    broker.forget(hub.name)
    _, ledger = run_exercise(hub)
    assert (ledger["sent"], ledger["remainder"]) == (EVENTS, 0)


def test_events_that_were_lost_while_they_were_sent_are_said_so_and_sent_again(spark, root, broker, run_exercise):
    hub = broker.hub("lost")
    run_exercise(hub)
    layout = Layout(root)
    # As a publish that was killed before it looked where its events are.
    run = hub_runs.saved_run(layout)
    hub_runs.save_run(layout, hub_runs.HubRun(run.name, run.since))
    broker.forget(hub.name)
    with pytest.raises(SystemExit, match=r"^the hub has 0 of this run's 400 events: run it again"):
        run_exercise(hub)
    _, ledger = run_exercise(hub)
    assert (ledger["sent"], ledger["remainder"]) == (EVENTS, 0)


def test_events_that_forge_the_runs_header_begin_it_anew(spark, root, broker, run_exercise, run_hub_task):
    hub = broker.hub("forged")
    run_exercise(hub)
    layout = Layout(root)
    # As a publish that was killed before it looked where its events are.
    run = hub_runs.saved_run(layout)
    hub_runs.save_run(layout, hub_runs.HubRun(run.name, run.since))
    send_foreign(spark, hub, 3, run.name)
    with pytest.raises(SystemExit, match="the hub has 403 events of this run, but 400 were sent"):
        run_hub_task(verify, hub)
    printed, ledger = run_exercise(hub)
    assert "3 more events with this run's header than were sent" in printed
    assert (ledger["sent"], ledger["remainder"]) == (EVENTS, 0)
    assert hub_runs.saved_run(layout).name != run.name
