"""One engine at a time for each stack."""

import os
import signal
import subprocess
import sys
import threading

HOLDER = """
import sys
from pathlib import Path
from lab.locks import held
from lab.report import Silent
with held(Path(sys.argv[1]), "lab up", Silent()):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_waits_and_says_who_holds_the_lock(tmp_path, report):
    from lab.locks import held

    path = tmp_path / "dev on the local cloud.lock"
    first = holder(path)
    waiting, got = threading.Event(), threading.Event()
    report.line = lambda what, text: (report.lines.append((what, text)), waiting.set())

    def second():
        with held(path, "lab down", report):
            got.set()

    thread = threading.Thread(target=second)
    thread.start()
    assert waiting.wait(30)
    assert not got.is_set()
    first.communicate("")
    assert got.wait(30)
    thread.join()
    [(what, text)] = report.lines
    assert what == "waiting"
    assert text.startswith(f"lab up (process {first.pid}, since 2")
    assert "dev on the local cloud" in text


def test_a_killed_holder_holds_nothing(tmp_path, report):
    from lab.locks import held

    path = tmp_path / "dev.lock"
    first = holder(path)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    with held(path, "lab up", report):
        assert not report.lines


def test_a_lock_is_held_for_as_long_as_its_holder_lives(tmp_path):
    from lab.locks import is_held

    path = tmp_path / "dev.lock"
    first = holder(path)
    assert is_held(path)
    first.communicate("")
    assert not is_held(path)
