"""The Pulumi CLI as the command runs it: nothing of the user's own Pulumi turns it elsewhere, and Ctrl-C reaches it."""

import json
import sys
from pathlib import Path

import pulumi.automation as auto
import pytest

from lab.engine_cli import Cli, KilledError
from lab.shell import lines


@pytest.fixture
def cli(tmp_path):
    """A CLI that prints its environment, and leaves a trace."""
    script = tmp_path / "pulumi"
    script.write_text(
        f"#!{sys.executable}\nimport json, os, pathlib\n"
        f"pathlib.Path({str(tmp_path / 'ran')!r}).touch()\nprint(json.dumps(dict(os.environ)))\n"
    )
    script.chmod(0o755)
    return Cli(script)


@pytest.fixture
def users_own(monkeypatch):
    """A shell in which the user works on a stack of their own, and another checkout's `lab env` was evaluated."""
    given = {
        "PULUMI_OPTION_CWD": "/another/checkout",
        "PULUMI_OPTION_STACK": "theirs",
        "PULUMI_STACK": "theirs",
        "PULUMI_CONFIG_PASSPHRASE": "theirs",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return given


def test_the_local_engine_takes_nothing_of_the_users_own_pulumi(cli, users_own, tmp_path):
    told = json.loads(cli.run(["up"], str(tmp_path), {"PULUMI_CONFIG_PASSPHRASE_FILE": "/ours"}).stdout)
    assert users_own.keys() & told.keys() == set()
    assert told["PULUMI_CONFIG_PASSPHRASE_FILE"] == "/ours"


def test_on_azure_the_users_pass_phrase_stays_theirs(cli, users_own, tmp_path):
    told = json.loads(cli.run(["up"], str(tmp_path), {}).stdout)
    assert users_own.keys() & told.keys() == {"PULUMI_CONFIG_PASSPHRASE"}


def test_an_interrupt_before_the_cli_starts_keeps_it_from_starting(cli, tmp_path):
    cli.interrupt()
    with pytest.raises(auto.CommandError, match="interrupted before it began"):
        cli.run(["up"], str(tmp_path), {})
    assert not (tmp_path / "ran").exists()


def test_a_cli_that_was_killed_is_named_with_the_signal(cli, tmp_path):
    cli.command = str(tmp_path / "killed")
    Path(cli.command).write_text("#!/bin/sh\nkill -9 $$\n")
    Path(cli.command).chmod(0o755)
    with pytest.raises(KilledError) as killed:
        cli.run(["up"], str(tmp_path), {})
    assert killed.value.signal == "SIGKILL"


def test_a_shell_sets_unsets_and_quotes():
    assert lines({"B": "it's", "A": None}) == ["unset A", "export B='it'\"'\"'s'"]
