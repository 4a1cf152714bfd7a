"""The real Pulumi engine on a program that makes nothing, with its state in files."""

import json
import os
import signal
import subprocess
import threading
import time

import pytest

from infra import naming
from lab import engine, lifecycle, program
from lab.clouds import LocalCloud
from lab.engine import Engine
from lab.errors import Interrupted, LabError
from lab.leftovers import Names
from lab.locks import is_held
from lab.overrides import kept_overrides
from lab.overview import overview
from lab.state import UNKNOWN, State
from tests.command import wait_until


class NoCloud(LocalCloud):
    """The local cloud's engine settings, with no background process behind them."""

    def prepare(self, report):
        pass

    def in_use(self):
        return True

    def _endpoint_now(self):
        return {"providers": {}}

    def arm(self):
        return NoArm()

    def release(self, report):
        # Of two students' downs that end at once, each must see that the other no longer works.
        return not is_held(self.state / "locks" / "dev on the local cloud.lock")


class NoArm:
    subscription = "s"

    def groups(self):
        return []

    def resources(self):
        return []

    def delete(self, resource_id):
        pass

    def exists(self, resource_id):
        return False


class NoLogin(NoCloud):
    """A backend that the CLI must be logged in to, and is not."""

    def engine_env(self):
        home = self.folder / "nobody's home"
        return {"PULUMI_HOME": str(home), "PULUMI_BACKEND_URL": "", "PULUMI_ACCESS_TOKEN": ""}

    def backend(self):
        return None


@pytest.fixture
def cloud(project, monkeypatch):
    # The SDKs' imports cost seconds, and these programs need none of them.
    monkeypatch.setattr(program, "import_module", lambda name: None)
    # infra's own rules are tested with infra.
    monkeypatch.setattr(lifecycle, "validate", lambda project, config: None)
    return NoCloud(project)


def write(project, *lines):
    (project.root / "__main__.py").write_text("\n".join(["import pulumi", "config = pulumi.Config()", *lines]) + "\n")


def files_of(root):
    return {path.relative_to(root) for path in root.rglob("*") if ".lab" not in path.parts and path.is_file()}


def test_up_gives_the_outputs_and_writes_nothing_into_the_checkout(project, cloud, report):
    write(project, "pulumi.export('partitions', config.require_int('hubPartitions'))")
    before = files_of(project.root), (project.root / "Pulumi.dev.yaml").read_text()
    done = lifecycle.up(project, cloud, "dev", ["hubPartitions=5"], report)
    assert (done.resources, done.changed, done.outputs) == (0, 0, {"partitions": 5})
    assert (files_of(project.root), (project.root / "Pulumi.dev.yaml").read_text()) == before
    assert "encryptionsalt" in Engine(project, cloud, "dev").config_file.read_text()


def test_an_override_holds_for_later_ups_until_down(project, cloud, report):
    write(project, "pulumi.export('partitions', config.require('hubPartitions'))")
    lifecycle.up(project, cloud, "dev", ["hubPartitions=5"], report)
    assert lifecycle.up(project, cloud, "dev", [], report).outputs == {"partitions": "5"}
    assert lifecycle.down(project, cloud, "dev", keep_data=False, report=report).leftovers == []
    assert lifecycle.up(project, cloud, "dev", [], report).outputs == {"partitions": "2"}


def test_a_value_with_which_up_failed_is_not_kept(project, cloud, report):
    write(project, "if config.require('hubPartitions') == '9': raise pulumi.RunError('nine is too many')")
    lifecycle.up(project, cloud, "dev", ["location=x"], report)
    with pytest.raises(LabError) as failed:
        lifecycle.up(project, cloud, "dev", ["hubPartitions=9"], report)
    assert str(failed.value) == "up: nine is too many"
    assert failed.value.advice == "Correct it, then run lab up again. Nothing was created."
    assert kept_overrides(cloud, "dev") == {"streaming-lab:location": "x"}


def test_what_is_fixed_while_a_lab_exists_is_refused_and_not_kept(project, cloud, report):
    write(project, "pulumi.export('noPublicIp', config.require_bool('noPublicIp'))")
    lifecycle.up(project, cloud, "dev", [], report)
    with pytest.raises(LabError, match="config streaming-lab:noPublicIp: it is true, but this lab has false"):
        lifecycle.up(project, cloud, "dev", ["noPublicIp=true"], report)
    assert lifecycle.up(project, cloud, "dev", [], report).outputs == {"noPublicIp": False}


def test_a_budget_that_does_not_exist_cannot_start_in_the_past(project, cloud, report):
    with pytest.raises(
        LabError, match=r"budgetStart: it is 2020-01-01, and a new budget cannot start before"
    ) as refused:
        lifecycle.up(project, cloud, "dev", ["budgetStart=2020-01-01"], report)
    assert "Nothing was changed" in refused.value.advice
    assert Engine(project, cloud, "dev").state() is None
    assert kept_overrides(cloud, "dev") == {}


def test_a_lab_keeps_the_start_of_its_budget(project, cloud, report, monkeypatch):
    budget = {
        "type": "azure-native:consumption:Budget",
        "urn": "urn:pulumi:dev::streaming-lab::azure-native:consumption:Budget::budget",
        "custom": True,
        "inputs": {"timePeriod": {"startDate": "2020-01-01T00:00:00Z"}},
    }
    monkeypatch.setattr(Engine, "state", lambda self: State([budget], []))
    monkeypatch.setattr(lifecycle, "prepare_stack", lambda *_: None)
    monkeypatch.setattr(lifecycle, "finish_interrupted", lambda *_: 0)
    done = engine.UpResult(1, 0, {})
    monkeypatch.setattr(Engine, "up", lambda self, report: done)
    assert lifecycle.up(project, cloud, "dev", ["budgetStart=2020-01-01"], report) is done


def test_outputs_that_a_partial_up_left_unknown_are_none():
    stack = {"type": "pulumi:pulumi:Stack", "outputs": {"student": "dev", "exercisesJobId": UNKNOWN}}
    assert State([stack], []).outputs == {"student": "dev"}


def test_a_killed_engine_is_not_reported_as_the_users_mistake(project, cloud, report, recwarn):
    write(
        project,
        "import psutil",
        "children = psutil.Process().children(recursive=True)",
        "[cli.kill() for cli in children if cli.name() == 'pulumi']",
    )
    with pytest.raises(LabError, match=r"up: Pulumi was killed \(SIGKILL\)") as killed:
        lifecycle.up(project, cloud, "dev", [], report)
    assert "Correct it" not in killed.value.advice
    assert not [warning for warning in recwarn if "event stream" in str(warning.message)]
    write(project, "pulumi.export('again', True)")
    assert lifecycle.up(project, cloud, "dev", [], report).outputs == {"again": True}


def test_who_is_not_logged_in_to_a_backend_is_told_to_and_nothing_is_kept(project, cloud, report):
    nobody = NoLogin(project)
    with pytest.raises(LabError, match="pulumi: PULUMI_ACCESS_TOKEN must be set") as refused:
        lifecycle.up(project, nobody, "dev", ["hubPartitions=5"], report)
    assert refused.value.advice == "Run pulumi login, then run the same command again."
    assert kept_overrides(nobody, "dev") == {}
    with pytest.raises(LabError, match="pulumi: PULUMI_ACCESS_TOKEN must be set"):
        overview(project, nobody, "dev", report)


def test_a_refused_command_of_the_cli_is_its_own_sentence(project, cloud, report):
    lifecycle.up(project, cloud, "dev", [], report)
    with pytest.raises(LabError) as refused:
        Engine(project, cloud, "dev").command("stack", "import", "--file", "/nowhere")
    assert str(refused.value) == "pulumi: could not open file: open /nowhere: no such file or directory"
    assert "stderr" in refused.value.detail


def test_a_fault_in_the_program_is_its_last_sentence(project, cloud, report):
    write(project, "open('/nowhere/at/all')")
    with pytest.raises(LabError, match="No such file or directory: '/nowhere/at/all'") as failed:
        lifecycle.up(project, cloud, "dev", [], report)
    assert "Traceback" not in str(failed.value) + failed.value.advice
    assert "Traceback" in failed.value.detail


def test_down_removes_the_stack_and_a_second_one_finds_nothing(project, cloud, report):
    lifecycle.up(project, cloud, "dev", [], report)
    dev = Engine(project, cloud, "dev")
    assert dev.state() is not None
    assert lifecycle.down(project, cloud, "dev", keep_data=False, report=report).stopped
    assert dev.state() is None
    assert not dev.config_file.exists()
    assert lifecycle.down(project, cloud, "dev", keep_data=False, report=report).leftovers == []


def test_a_damaged_record_is_named_and_down_works_without_it(project, cloud, report):
    lifecycle.up(project, cloud, "dev", [], report)
    record = cloud.backend() / ".pulumi/stacks/streaming-lab/dev.json"
    record.write_bytes(record.read_bytes()[:200])
    with pytest.raises(LabError, match=r"dev\.json is damaged") as refused:
        lifecycle.up(project, cloud, "dev", [], report)
    assert refused.value.advice.startswith("Delete it, then run lab down")
    record.unlink()
    assert lifecycle.down(project, cloud, "dev", keep_data=False, report=report).leftovers == []


def test_without_a_record_data_are_kept_or_nothing_is_taken_down(project, cloud, report, monkeypatch):
    (project.root / "Pulumi.dev.yaml").write_text("config: {'streaming-lab:course': c}\n")
    data = cloud.storage() / naming.Names("s", "c", "dev").storage_account / "lab"
    data.mkdir(parents=True)
    monkeypatch.setattr(lifecycle, "leftovers", lambda arm, names: ["an account"] if data.exists() else [])
    with pytest.raises(LabError, match="no data of student dev is in"):
        lifecycle.down(project, cloud, "dev", keep_data=True, report=report)
    (data / "part-0").write_text("row")
    done = lifecycle.down(project, cloud, "dev", keep_data=True, report=report)
    assert (done.kept / "lab" / "part-0").read_text() == "row"
    assert lifecycle.down(project, cloud, "dev", keep_data=True, report=report).kept is None


def test_what_the_cloud_still_shows_keeps_the_stack_and_is_listed(project, cloud, report, monkeypatch):
    lifecycle.up(project, cloud, "dev", [], report)
    monkeypatch.setattr(lifecycle, "leftovers", lambda arm, names: ["/subscriptions/s/resourceGroups/stuck"])
    monkeypatch.setattr(lifecycle, "names_of", lambda *_: Names(frozenset(), {"student": "dev"}))
    done = lifecycle.down(project, cloud, "dev", keep_data=False, report=report)
    assert done.leftovers == ["/subscriptions/s/resourceGroups/stuck"]
    assert not done.stopped
    assert Engine(project, cloud, "dev").state() is not None


def test_the_lock_of_a_dead_engine_is_cancelled(project, cloud, report):
    lifecycle.up(project, cloud, "dev", [], report)
    dead = subprocess.Popen(["true"])
    dead.wait()
    folder = cloud.backend() / ".pulumi/locks/organization/streaming-lab/dev"
    folder.mkdir(parents=True, exist_ok=True)
    lock = {"pid": dead.pid, "username": "lab", "hostname": os.uname().nodename, "timestamp": "2026-01-01T00:00:00Z"}
    (folder / "0f0f.json").write_text(json.dumps(lock))
    assert lifecycle.up(project, cloud, "dev", [], report).outputs == {"student": "dev"}


def test_ctrl_c_lets_the_engine_end_its_step_and_says_how_to_go_on(project, cloud, report, monkeypatch):
    marker = project.root / "waiting"
    write(
        project,
        "import pathlib, time",
        f"pathlib.Path({str(marker)!r}).touch()",
        "end = time.monotonic() + 20",
        "while time.monotonic() < end: time.sleep(0.05)",
    )

    def interrupt():
        while not marker.exists():
            time.sleep(0.05)
        os.kill(os.getpid(), 2)

    # A shell starts what it puts into the background with Ctrl-C ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(Interrupted) as left:
        lifecycle.up(project, cloud, "dev", [], report)
    thread.join()
    signal.signal(signal.SIGINT, before)
    assert left.value.code == 130
    assert left.value.advice == "lab up goes on from here, lab down removes them."
    assert ("stopping", "after the step under way (Ctrl-C again: at once)") in report.lines
    write(project, "pulumi.export('again', True)")
    assert lifecycle.up(project, cloud, "dev", [], report).outputs == {"again": True}


def test_what_was_complete_before_ctrl_c_had_an_effect_is_not_called_interrupted(project, cloud, report, monkeypatch):
    def up(stack, **_):
        os.kill(os.getpid(), signal.SIGINT)
        wait_until(lambda: report.lines, "the interrupt")

    monkeypatch.setattr(engine.QuickStack, "up", up)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert lifecycle.up(project, cloud, "dev", [], report).changed == 0
    finally:
        signal.signal(signal.SIGINT, before)
    assert [what for what, _ in report.lines] == ["stopping"]
