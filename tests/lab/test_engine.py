"""The real Pulumi engine on a program that makes nothing, with its state in files."""

import json
import os
import signal
import subprocess
import threading
import time

import pytest

from lab import lifecycle, program
from lab.clouds import LocalCloud
from lab.engine import Engine
from lab.errors import Interrupted, LabError
from lab.leftovers import Names
from lab.overrides import kept_overrides


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
        return True


class NoArm:
    subscription = "s"

    def groups(self):
        return []

    def resources(self):
        return []


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


def test_a_fault_in_the_program_is_its_last_sentence(project, cloud, report):
    write(project, "open('/nowhere/at/all')")
    with pytest.raises(LabError, match="No such file or directory: '/nowhere/at/all'") as failed:
        lifecycle.up(project, cloud, "dev", [], report)
    assert "Traceback" not in str(failed.value) + failed.value.advice
    assert "Traceback" in failed.value.detail


def test_down_removes_the_stack_and_a_second_one_finds_nothing(project, cloud, report):
    lifecycle.up(project, cloud, "dev", [], report)
    engine = Engine(project, cloud, "dev")
    assert engine.state() is not None
    assert lifecycle.down(project, cloud, "dev", keep_data=False, report=report).stopped
    assert engine.state() is None
    assert not engine.config_file.exists()
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
