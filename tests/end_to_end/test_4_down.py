"""Taking it down: nothing is left in the cloud's own view, no process stays, and it all works again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import ROOT, namespace


def test_run_and_verify_before_up_say_what_to_do(lab):
    for command in (["run"], ["verify"], ["show", "windows"]):
        assert "lab up" in lab(*command, "--student", "nobody", exits=1)


def test_down_leaves_nothing_and_stops_everything(lab):
    assert lab.processes()
    assert lab.json("down") == {"leftovers": []}
    assert not lab.processes()
    assert {path.name for path in lab.state.iterdir()} <= {"locks"}


def test_down_a_second_time_is_no_error(lab):
    assert lab.json("down") == {"leftovers": []}


def test_after_down_everything_works_again_without_a_network_and_data_can_be_kept(lab):
    offline = namespace("n", "ip link set lo up")
    steps = "lab up && lab run windows --scale 0.05 && lab down --keep-data --json"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [*offline, "sh", "-c", steps],
        cwd=ROOT,
        env={**lab.environment, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"leftovers": []}
    kept = list((lab.state / "kept").glob("dev-*"))
    assert len(kept) == 1
    assert list(kept[0].rglob("tables/windows_tumbling/_delta_log"))


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("hubPartitions=0", "hubPartitions"),
        ("hubPartitions=33", "hubPartitions"),
        ("hubPartitions=two", "hubPartitions"),
        ("noSuchKey=1", "noSuchKey"),
        ("eventHubsSku=Basic", "eventHubsSku"),
        ("autoterminationMinutes=5", "autoterminationMinutes"),
        ("nodeType=Standard_D99_v9", "nodeType"),
        ("location=atlantis", "location"),
        ("exercisesCron=every day", "exercisesCron"),
    ],
)
def test_a_wrong_value_is_named_and_nothing_is_started(lab, setting, says):
    errors = lab("up", "-c", setting, exits=1)
    assert says in errors
    assert setting.split("=")[1] in errors
    assert not lab.processes()


def test_a_student_name_that_azure_would_refuse_is_refused(lab):
    assert "student" in lab("up", "--student", "Not A Name!", exits=1)
    assert not lab.processes()
