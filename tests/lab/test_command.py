"""What the command says and with which exit code, before it talks to any cloud."""

import errno
import io
import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest


def test_help_imports_nothing_slow():
    program = (
        "import sys; from lab.main import main; main(['--help']); "
        "slow = {'pulumi', 'databricks', 'rich', 'httpx', 'azure', 'yaml', 'localcloud', 'infra', 'pyspark'}; "
        "print('imported:', sorted(slow & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "imported: []" in done.stdout
    for command in ("up", "run", "streams", "stop", "show", "verify", "status", "down", "env"):
        assert f"\n  {command} " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["fly"], "fly"),
        (["up", "--cloud", "moon"], "moon"),
        (["run", "--scale", "much"], "--scale"),
        (["run", "--scale", "0"], "--scale"),
        (["show"], "table"),
        (["show", "nonsense"], "nonsense is not a table: choose among activity"),
        (["run", "painting"], "painting is not an exercise: choose among concepts, windows, event_hubs, or live"),
        (["verify", "live"], "live is not an exercise: choose among concepts, windows, event_hubs\n"),
        (["run", "live", "windows"], "live runs by itself"),
        (["run", "live", "--scale", "2"], "live takes no --scale"),
        (["run", "--slide", "often"], "--slide: often is not a length of time such as '15 minutes'"),
        (["up", "-c", "hubPartitions"], "hubPartitions is not of the form key=value"),
        (["up", "-c", "streming-lab:hubPartitions=3"], "the namespace streming-lab is none of streaming-lab, pulumi"),
        (["up", "-c", "student=ada"], "streaming-lab:student is the stack's name"),
        (["down", "--cloud", "azure"], "deletes everything"),
        (["down", "--cloud", "azure", "--yes", "--keep-data"], "--keep-data"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_code_2(lab, arguments, says):
    done = lab(*arguments)
    assert done.code == 2
    assert says in done.err
    assert done.err.startswith("error ")
    assert not done.out


@pytest.mark.parametrize(
    "arguments", [["run"], ["run", "live"], ["verify"], ["streams"], ["stop"], ["show", "windows"]]
)
def test_what_needs_a_lab_says_to_run_lab_up_first(lab, project, arguments):
    done = lab(*arguments, "--student", "nobody")
    assert done.code == 1
    assert done.err == "error      lab: student nobody has no lab on the local cloud\n           Run lab up first.\n"
    assert not project.state.exists()


def test_down_where_nothing_is_says_so_and_succeeds(lab, project):
    assert json.loads(lab("down", "--json").out) == {"leftovers": []}
    assert "nothing is left" in lab("down").out
    assert not project.state.exists()


def test_status_where_nothing_is_says_so(lab):
    assert "student dev has nothing on the local cloud" in lab("status").out
    told = json.loads(lab("status", "--json").out)
    assert told.pop("disk_bytes") >= 0
    assert told == {
        "cloud": "local",
        "student": "dev",
        "up": False,
        "recorded": 0,
        "resources": [],
        "outputs": {},
        "cluster": None,
        "runs": [],
    }


@pytest.mark.parametrize("student", ["../other", "Not A Name!", "", "-x"])
def test_a_student_id_that_is_no_file_name_is_refused(lab, student):
    done = lab("down", "--student", student)
    assert done.code == 1
    assert "student" in done.err


def test_outside_a_checkout_the_installed_one_is_used(lab, monkeypatch, tmp_path):
    from lab import project

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(project, "__file__", str(tmp_path / "site-packages" / "lab" / "project.py"))
    done = lab("status")
    assert done.code == 1
    assert f"no Pulumi.yaml in {tmp_path}" in done.err


@pytest.mark.parametrize(
    ("number", "says"),
    [(errno.ENOSPC, "no space is left for"), (errno.EACCES, "can't be written (permission denied)")],
)
def test_a_full_or_closed_disk_is_one_sentence(lab, monkeypatch, project, number, says):
    from lab import clouds

    def refuse(*_):
        raise OSError(number, __import__("os").strerror(number), str(project.state))

    monkeypatch.setattr(clouds.LocalCloud, "in_use", refuse)
    done = lab("status")
    assert done.code == 1
    assert f"{project.state}" in done.err
    assert says in done.err


def test_an_unforeseen_fault_shows_its_traceback_only_with_debug(lab, monkeypatch):
    from lab import clouds

    def fault(_):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(clouds.LocalCloud, "in_use", fault)
    done = lab("status")
    assert done.code == 1
    assert done.err.startswith("error      internal: ZeroDivisionError: division by zero")
    assert "Traceback" not in done.err
    done = lab("status", "--debug")
    assert done.code == 1
    assert "Traceback" in done.err
    assert "error      internal: ZeroDivisionError: division by zero" in done.err
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4096))
    assert "disk: no space is left for" in lab("status").err


def test_debug_keeps_the_exit_code(lab):
    done = lab("up", "-c", "hubPartitions", "--debug")
    assert done.code == 2
    assert "Traceback" in done.err


def test_a_refusal_of_the_workspace_without_words_is_named_by_its_kind(lab, monkeypatch):
    from databricks.sdk.errors import PermissionDenied

    from lab import clouds

    def refuse(_):
        raise PermissionDenied("")

    monkeypatch.setattr(clouds.LocalCloud, "in_use", refuse)
    assert lab("status").err.startswith("error      workspace: PermissionDenied\n")


def test_in_a_deleted_folder_the_command_says_so(lab, monkeypatch, tmp_path):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    done = lab("status")
    assert done.code == 1
    assert done.err.startswith("error      project: the working directory was deleted\n")


def test_env_waits_aloud_beside_what_the_shell_reads(lab, monkeypatch):
    from lab import shell

    def exports(project, cloud, student, report):
        report.line("waiting", "lab up holds dev")
        return {"NAME": "value"}

    monkeypatch.setattr(shell, "exports", exports)
    done = lab("env")
    assert done.out == "export NAME=value\n"
    assert done.err == "waiting    lab up holds dev\n"


def test_the_question_before_deleting_on_azure_is_not_part_of_the_json(lab, monkeypatch):
    terminal = io.StringIO("n\n")
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", terminal)
    done = lab("down", "--cloud", "azure", "--json")
    assert done.code == 130
    assert "Delete everything of student dev on Azure?" in done.err
    assert not done.out.strip()


def test_ctrl_c_is_one_sentence_and_exit_code_130(lab, monkeypatch):
    from lab import clouds

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(clouds.LocalCloud, "in_use", interrupted)
    done = lab("status")
    assert done.code == 130
    assert done.err.count("error ") == 1
