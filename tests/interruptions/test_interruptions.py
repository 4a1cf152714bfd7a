"""Killed half-way, at any part: the next command finishes the work, and the numbers hold."""

import signal
import subprocess
import time
from contextlib import suppress

import psutil
import pytest

from tests.command import LIMIT, ROOT, Lab, lab_in, wait_until

pytestmark = LIMIT


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A lab that is up and has not run."""
    with lab_in(tmp_path_factory.mktemp("lab") / "state") as lab:
        yield lab


def java(lab: Lab, word: str) -> psutil.Process | None:
    """The JVM of this lab whose command line has this word."""
    found = [process for process in lab.processes() if process.name() == "java" and word in " ".join(process.cmdline())]
    return found[0] if found else None


def has_sent(lab: Lab, since: float) -> bool:
    """Whether the publish stream has ended a batch since this time (seconds since 1970)."""
    commits = lab.state.glob("storage/*/*/exercises/checkpoints/publish/commits/[0-9]*")
    # Earlier runs' commits go while this looks.
    with suppress(FileNotFoundError):
        return any(commit.stat().st_mtime > since for commit in commits)
    return False


@pytest.mark.parametrize(
    ("part", "exercises"),
    [
        ("the Spark driver", ["concepts", "windows", "event_hubs"]),
        ("the background process", ["event_hubs"]),
        ("the broker", ["event_hubs"]),
    ],
)
def test_a_run_that_lost_a_part_is_finished_by_the_next_with_remainder_zero(lab, part, exercises):
    victim = {
        "the Spark driver": lambda: java(lab, "SparkSubmit"),
        "the background process": lambda: psutil.Process(lab.endpoint["pid"]),
        "the broker": lambda: java(lab, "kafka.Kafka"),
    }[part]
    # Another scale makes the exercises start over, so that there is work to interrupt.
    scale = {"the Spark driver": "0.5", "the background process": "0.6", "the broker": "0.7"}[part]
    began = time.time()
    running = lab.start("run", *exercises, "--scale", scale)
    wait_until(lambda: has_sent(lab, began), "the publish stream")
    victim().send_signal(signal.SIGKILL)
    running.communicate(timeout=900)
    verdict = lab.json("run", *exercises, "--scale", scale)
    assert verdict["ok"] is True
    assert [row["name"] for row in verdict["exercises"]] == exercises
    assert not any(row["remainder"] for row in verdict["exercises"])


def test_two_ups_at_once_both_end_well(lab):
    first, second = lab.start("up", "--student", "twin"), lab.start("up", "--student", "twin")
    for process in (first, second):
        out, errors = process.communicate(timeout=300)
        assert process.returncode == 0, out + errors
    lab("down", "--student", "twin")


def test_an_up_that_was_killed_is_finished_by_the_next(lab):
    killed = lab.start("up", "--student", "grace")
    record = lab.state / "local/backend/.pulumi/stacks/streaming-lab/grace.json"
    wait_until(lambda: any(lab.state.glob("storage/*grace*")), "the first of its resources")
    wait_until(lambda: "pending_operations" in record.read_text(), "a resource that is being made")
    # The CLI runs in a session of its own, where the command's death would let it end its step.
    tree = [psutil.Process(killed.pid), *psutil.Process(killed.pid).children(recursive=True)]
    assert any("pulumi" in process.name() for process in tree)
    for process in tree:
        process.kill()
    psutil.wait_procs(tree, timeout=60)
    killed.communicate(timeout=60)
    assert lab.json("status", "--student", "grace")["up"] is False
    lab("up", "--student", "grace")
    assert "0 changed" in lab("up", "--student", "grace")
    assert lab.json("down", "--student", "grace")["leftovers"] == []


def test_an_up_that_lost_the_cloud_is_finished_by_the_next(lab):
    interrupted = lab.start("up", "--student", "lost", "--latencies", "0.05")
    # Its creation takes seconds, so that its answer is still to come.
    wait_until(lambda: any(lab.state.glob("storage/*lost*")), "the storage account")
    psutil.Process(lab.endpoint["pid"]).kill()
    out, errors = interrupted.communicate(timeout=300)
    assert interrupted.returncode == 1
    assert "Traceback" not in out + errors
    assert "Error in event stream" not in errors
    lab("up", "--student", "lost", "--latencies", "0")
    assert "0 changed" in lab("up", "--student", "lost")
    assert lab.json("down", "--student", "lost")["leftovers"] == []


def in_shell(lab: Lab, exports: str, command: str) -> None:
    """Run a command in a shell after `eval "$(lab env)"`."""
    done = subprocess.run(
        ["sh", "-c", f"{exports}\n{command}"],
        cwd=ROOT,
        env=lab.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def users_own(lab, monkeypatch):
    """The user's own Pulumi has a stack and a pass phrase in the environment."""
    monkeypatch.setitem(lab.variables, "PULUMI_STACK", "theirs")
    monkeypatch.setitem(lab.variables, "PULUMI_CONFIG_PASSPHRASE", "theirs")


def test_plain_pulumi_finds_nothing_to_change(lab, users_own):
    in_shell(lab, lab("env"), "pulumi preview --expect-no-changes --non-interactive")


def test_plain_pulumi_makes_and_deletes_a_lab(lab, users_own):
    commands = ("pulumi up --yes", "pulumi stack output workspaceUrl", "pulumi destroy --yes")
    in_shell(lab, lab("env", "--student", "plain"), " && ".join(f"{one} --non-interactive" for one in commands))
    assert lab.json("down", "--student", "plain")["leftovers"] == []
