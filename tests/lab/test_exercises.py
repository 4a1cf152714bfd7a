"""Running, following, proving and showing, against a workspace that answers as Databricks does."""

import json

import pytest
from databricks.sdk.service.jobs import PauseStatus

from lab import exercises, streams
from lab.errors import Interrupted, LabError
from lab.runs import TASKS

WAITING, RUNNING, DONE = ("PENDING", None), ("RUNNING", None), ("TERMINATED", "SUCCESS")
FAILED, SKIPPED, EXCLUDED = ("TERMINATED", "FAILED"), ("SKIPPED", "UPSTREAM_FAILED"), ("TERMINATED", "EXCLUDED")
ROW = {"sent": 10, "stored": 7, "quarantined": 1, "duplicates": 1, "late": 1, "open": 0, "remainder": 0}
LEDGER = {"ok": True, "exercises": [{"name": "concepts", **ROW, "problems": []}]}


def printed(result):
    return {"logs": f"for people\nstreaming-lab-result: {json.dumps(result)}\n"}


def all_tasks(state, **others):
    # Databricks lists tasks in an order of its own.
    return {task: others.get(task, state) for task in sorted(TASKS)}


def test_a_run_is_followed_from_task_to_task_and_ends_in_the_ledger(workspace, client, report):
    looks = [
        ("PENDING", None, all_tasks(WAITING)),
        ("RUNNING", None, all_tasks(WAITING, generate=DONE, windows=RUNNING)),
        ("TERMINATED", "SUCCESS", all_tasks(DONE)),
    ]
    client.jobs.next_run = (7, looks)
    verify = sorted(TASKS).index("verify")
    client.jobs.outputs[700 + verify] = printed(LEDGER)
    client.workspace.progress(
        "exercises",
        "windows",
        spark_ui="http://127.0.0.1:4040",
        queries=[
            {
                "name": "a",
                "active": True,
                "rows_per_second": 1000.4,
                "watermark": "2026-01-02T03:04:05+00:00",
                "dropped": 3,
            },
            {"name": "b", "active": True, "rows_per_second": 500.0, "watermark": "2026-01-02T01:00:00+00:00"},
        ],
    )
    workspace.poll_seconds = 1.1  # progress is looked at once a second
    outcome = exercises.run(workspace, exercises.EXERCISES, exercises.settings(2.5, None, "30 minutes", None), report)
    parameters = {"exercises": "concepts,windows,event_hubs", "scale": "2.5", "slide": "30 minutes"}
    assert client.jobs.started == [(1, None, parameters)]
    assert [str(task) for task in outcome.tasks] == [f"{task} ✓" for task in TASKS]
    assert outcome.ledger == LEDGER
    assert outcome.spark_ui == "http://127.0.0.1:4040"
    seen = next(moment for moment in report.moments if "rows/s" in moment)
    assert "generate ✓" in seen
    assert "windows 1,500 rows/s, watermark 2026-01-02 01:00:00, 3 late groups dropped" in seen
    assert "verify ·" in seen
    assert "Spark UI http://127.0.0.1:4040" in seen


@pytest.mark.parametrize(
    ("names", "tasks"),
    [
        (["concepts"], ["generate", "concepts", "verify"]),
        (["event_hubs"], ["generate", "publish", "event_hubs", "verify"]),
        (["windows", "concepts"], ["generate", "concepts", "windows", "verify"]),
        (["windows", "concepts", "event_hubs"], None),
    ],
)
def test_an_exercise_runs_with_the_tasks_that_it_needs(names, tasks):
    assert exercises.tasks_of(exercises.chosen(names)) == tasks


def test_a_run_that_ends_between_two_looks_gives_its_spark_ui_link_all_the_same(workspace, client, report):
    client.jobs.next_run = (7, [("TERMINATED", "SUCCESS", {"concepts": DONE, "verify": DONE})])
    client.jobs.outputs[701] = printed(LEDGER)
    client.workspace.progress("exercises", "concepts", spark_ui="http://127.0.0.1:4040", queries=[])
    assert exercises.run(workspace, ["concepts"], {}, report).spark_ui == "http://127.0.0.1:4040"


BEFORE_THE_RUN = "2025-12-31T23:59:59.900000+00:00"


def test_what_an_earlier_run_reported_is_not_shown_as_this_ones(workspace, client, report):
    looks = [("RUNNING", None, {"concepts": RUNNING, "verify": WAITING})]
    looks.append(("TERMINATED", "SUCCESS", {"concepts": DONE, "verify": DONE}))
    client.jobs.next_run = (7, looks)
    client.jobs.outputs[701] = printed(LEDGER)
    told = {"spark_ui": "http://127.0.0.1:1", "queries": [{"name": "a", "active": True, "rows_per_second": 9.0}]}
    client.workspace.progress("exercises", "concepts", updated_at=BEFORE_THE_RUN, **told)
    assert exercises.run(workspace, ["concepts"], {}, report).spark_ui == ""
    assert not any("rows/s" in moment for moment in report.moments)
    client.jobs.add(8, looks[:1], job_id=2)
    client.workspace.progress("live", "concepts", updated_at=BEFORE_THE_RUN, **told)
    assert list(workspace.streams()) == []


def test_a_failed_task_is_told_in_its_own_words(workspace, client, report):
    tasks = {"generate": DONE, "publish": FAILED, "event_hubs": SKIPPED, "verify": SKIPPED, "concepts": EXCLUDED}
    client.jobs.next_run = (7, [("INTERNAL_ERROR", "FAILED", tasks)])
    client.jobs.outputs[701] = {"error": "SystemExit: the hub refused the key\nmore", "error_trace": "a trace"}
    with pytest.raises(LabError) as failed:
        exercises.run(workspace, ["event_hubs"], {}, report)
    assert str(failed.value) == "publish: SystemExit: the hub refused the key"
    assert failed.value.detail == "a trace"


def test_a_run_under_way_with_the_same_tasks_is_followed_instead(workspace, client, report):
    tasks = {"generate": DONE, "concepts": DONE, "verify": RUNNING}
    looks = [("RUNNING", None, tasks)] * 2 + [("TERMINATED", "SUCCESS", {**tasks, "verify": DONE})]
    client.jobs.add(5, looks, parameters={"exercises": "concepts", "scale": "1"})
    client.jobs.outputs[502] = printed(LEDGER)
    assert exercises.run(workspace, ["concepts"], {}, report).ledger == LEDGER
    assert client.jobs.started == []
    assert report.lines == [("following", "run 5, which is under way with the same tasks")]


def test_a_run_under_way_with_another_scale_is_waited_for(workspace, client, report):
    tasks = {"generate": DONE, "concepts": DONE, "verify": DONE}
    looks = [("RUNNING", None, tasks)] * 2 + [("TERMINATED", "SUCCESS", tasks)]
    client.jobs.add(5, looks, parameters={"exercises": "concepts", "scale": "1"})
    client.jobs.next_run = (6, [("TERMINATED", "SUCCESS", tasks)])
    client.jobs.outputs[602] = printed(LEDGER)
    exercises.run(workspace, ["concepts"], {"scale": "2"}, report)
    assert client.jobs.started == [(1, ["generate", "concepts", "verify"], {"exercises": "concepts", "scale": "2"})]
    assert report.lines[0][0] == "waiting"


def test_ctrl_c_leaves_the_run_in_the_workspace_and_says_how_to_go_on(workspace, client, report):
    client.jobs.next_run = (7, [("RUNNING", None, {"generate": RUNNING})])

    def interrupt(text):
        if "generate" in text:
            raise KeyboardInterrupt

    report.now = interrupt
    with pytest.raises(Interrupted) as left:
        exercises.run(workspace, exercises.EXERCISES, {}, report)
    assert left.value.code == 130
    assert "run 7 goes on" in left.value.message
    assert "lab run follows it again" in left.value.advice
    assert client.jobs.canceled == []


def test_verify_gives_the_ledger_even_when_its_task_failed(workspace, client, report):
    bad = {"ok": False, "exercises": [{"name": "windows", **ROW, "remainder": 3, "problems": []}]}
    client.jobs.next_run = (7, [("INTERNAL_ERROR", "FAILED", {"verify": FAILED})])
    client.jobs.outputs[700] = {"error": "SystemExit: windows", **printed(bad)}
    assert exercises.verify(workspace, exercises.EXERCISES, report) == bad
    assert client.jobs.started == [(1, ["verify"], {"exercises": "concepts,windows,event_hubs"})]
    assert exercises.problems(bad) == ["windows: remainder 3"]


def test_show_submits_one_task_with_the_wheel_on_the_cluster(workspace, client, report):
    shown = {"table": "activity", "columns": ["gt", "x"], "rows": [["walk", 0.5]], "total": 9}
    client.jobs.next_run = (7, [("TERMINATED", "SUCCESS", {"show": DONE})])
    client.jobs.outputs[700] = printed(shown)
    assert exercises.show(workspace, exercises.table_of("concepts"), 1, report) == shown
    [(_, [task], run_as)] = client.jobs.submitted
    assert (run_as.user_name, run_as.service_principal_name) == (workspace.outputs["runAs"], None)
    assert task.existing_cluster_id == workspace.outputs["clusterId"]
    assert task.libraries[0].whl == workspace.outputs["wheel"]
    parameters = task.python_wheel_task.named_parameters
    assert parameters == {"root": workspace.outputs["root"], "table": "activity", "limit": "1"}


def test_a_service_principal_s_lab_is_shown_as_that_principal(workspace, client, report):
    application = workspace.outputs["runAs"] = "11111111-2222-3333-4444-555555555555"
    client.jobs.next_run = (7, [("TERMINATED", "SUCCESS", {"show": DONE})])
    client.jobs.outputs[700] = printed({"table": "activity", "columns": [], "rows": [], "total": 0})
    exercises.show(workspace, "activity", 1, report)
    [(_, _, run_as)] = client.jobs.submitted
    assert (run_as.user_name, run_as.service_principal_name) == (None, application)


def test_streams_are_those_of_running_tasks_alone(workspace, client):
    client.jobs.add(5, [("RUNNING", None, {"windows": RUNNING, "concepts": DONE})])
    client.jobs.add(6, [("RUNNING", None, {"publish": RUNNING})], job_id=2)
    query = {"id": "1", "active": True, "batch": 3}
    ended = {"name": "windows_quarantine", "active": False}
    client.workspace.progress("exercises", "windows", queries=[{"name": "windows_tumbling", **query}, ended])
    client.workspace.progress("exercises", "concepts", queries=[{"name": "stream_1p", **query}])
    client.workspace.progress("live", "publish", queries=[{"name": "publish", **query}])
    assert [(one["dataset"], one["task"], one["name"]) for one in workspace.streams()] == [
        ("exercises", "windows", "windows_tumbling"),
        ("live", "publish", "publish"),
    ]


def test_stop_asks_pauses_and_waits(workspace, client, report):
    client.jobs.paused = PauseStatus.UNPAUSED
    client.jobs.add(6, [("RUNNING", None, {"publish": RUNNING})], job_id=2)
    client.workspace.progress("live", "publish", queries=[{"name": "publish", "active": True}])

    def as_the_job_does(path):
        assert client.jobs.updates == [], "the request stands before the pause"
        client.jobs.runs[6].looks = [("RUNNING", None, {"publish": RUNNING}), ("TERMINATED", "SUCCESS", {})]

    client.workspace.on_upload = as_the_job_does
    assert streams.stop(workspace, [], report) == ["publish"]
    request = json.loads(client.workspace.files["/Shared/streaming-lab/dev/control/stop.json"])
    assert (request["queries"], request["dataset"]) == (["*"], "*")
    assert client.jobs.updates == [(2, PauseStatus.PAUSED)]
    assert client.jobs.canceled == []


def test_a_run_that_does_not_listen_is_canceled(workspace, client, report):
    client.jobs.add(5, [("RUNNING", None, {"windows": RUNNING})])
    streams.stop(workspace, [], report, patience=0)
    assert client.jobs.canceled == [5]
    assert report.lines[0][0] == "canceled"


def test_stopping_one_query_neither_pauses_nor_cancels(workspace, client, report):
    client.jobs.paused = PauseStatus.UNPAUSED
    client.jobs.add(6, [("RUNNING", None, {"windows": RUNNING})], job_id=2)
    both = [{"name": "windows_tumbling", "active": True}, {"name": "windows_sliding", "active": True}]
    client.workspace.progress("live", "windows", queries=both)
    client.workspace.on_upload = lambda path: client.workspace.progress("live", "windows", queries=both[1:])
    assert streams.stop(workspace, ["windows_tumbling"], report) == ["windows_tumbling"]
    assert client.jobs.updates == client.jobs.canceled == []


def test_a_query_that_does_not_end_is_no_stopped_one(workspace, client, report):
    client.jobs.add(6, [("RUNNING", None, {"windows": RUNNING})], job_id=2)
    client.workspace.progress("live", "windows", queries=[{"name": "windows_tumbling", "active": True}])
    with pytest.raises(LabError, match="windows_tumbling did not end within 0 s") as refused:
        streams.stop(workspace, ["windows_tumbling"], report, patience=0)
    assert "lab stop without a name" in refused.value.advice


def test_an_unknown_query_is_refused_with_the_active_ones_and_nothing_is_stopped(workspace, client, report):
    client.jobs.add(6, [("RUNNING", None, {"windows": RUNNING})], job_id=2)
    client.workspace.progress("live", "windows", queries=[{"name": "windows_tumbling", "active": True}])
    with pytest.raises(LabError, match="no query tumbling is active") as refused:
        streams.stop(workspace, ["tumbling", "windows_tumbling"], report)
    assert refused.value.advice == "Active are windows_tumbling."
    assert not any("stop.json" in path for path in client.workspace.files)


def test_stopping_by_name_where_nothing_streams_stops_nothing(workspace, report):
    assert streams.stop(workspace, ["windows_tumbling"], report) == []


def test_live_ends_when_another_command_stops_it(workspace, client, report):
    looks = [
        ("RUNNING", None, {"publish": RUNNING}),
        ("TERMINATED", "CANCELED", {"publish": ("TERMINATED", "CANCELED")}),
    ]
    client.jobs.add(6, looks, job_id=2)
    show = report.now

    def pause(text):
        client.jobs.paused = PauseStatus.PAUSED
        show(text)

    report.now = pause
    exercises.live(workspace, report)
    assert report.moments
    # It was stopped on request: nothing starts it again.
    assert report.lines == []


def test_live_shows_one_line_for_each_query(workspace, client, report):
    looks = [
        ("RUNNING", None, {"windows": RUNNING}),
        ("TERMINATED", "CANCELED", {"windows": ("TERMINATED", "CANCELED")}),
    ]
    client.jobs.add(6, looks, job_id=2)
    queries = [
        {"name": "windows_tumbling", "active": True, "rows_per_second": 1200, "watermark": "2026-01-02T03:04:05+00:00"},
        {"name": "windows_sliding", "active": True, "rows_per_second": 90.4, "dropped": 3},
        {"name": "ended", "active": False},
    ]
    client.workspace.progress("live", "windows", queries=queries)
    workspace.poll_seconds = 1.1  # progress is looked at once a second
    run = client.jobs.get_run

    def get_run(run_id):
        client.jobs.paused = PauseStatus.PAUSED
        return run(run_id)

    client.jobs.get_run = get_run
    looks.insert(0, looks[0])
    client.jobs.runs[6].looks = looks
    exercises.live(workspace, report)
    assert (
        "\n".join(
            [
                "windows_tumbling         1,200 rows/s  watermark 2026-01-02 03:04:05",
                "windows_sliding             90 rows/s  3 late groups dropped",
            ]
        )
        in report.moments
    )


def test_live_is_unpaused_and_goes_on_after_ctrl_c(workspace, client, report):
    client.jobs.add(6, [("RUNNING", None, {"publish": RUNNING})], job_id=2)

    def interrupt(text):
        raise KeyboardInterrupt

    report.now = interrupt
    with pytest.raises(Interrupted, match="the live job goes on") as left:
        exercises.live(workspace, report)
    assert "lab stop" in left.value.advice
    assert client.jobs.updates == [(2, PauseStatus.UNPAUSED)]
