"""After a full run, no key, token or connection string is anywhere but in the secret store and the token file."""

import base64
import json
import subprocess

import pytest

from tests.command import ROOT

# Where secrets belong: the local cloud's store (as SQLite keeps it) and the files that let the user in.
SECRET_FILES = {"cloud.db", "cloud.db-wal", "cloud.db-shm", "token", "passphrase"}


@pytest.fixture(scope="module")
def secrets(lab):
    """Everything secret that this lab has, by name."""
    client, scope = lab.workspace(), lab.outputs()["secretScope"]
    found = {"token": lab.token, "passphrase": (lab.state / "passphrase").read_text().strip()}
    for item in client.secrets.list_secrets(scope):
        value = base64.b64decode(client.secrets.get_secret(scope, item.key).value).decode()
        parts = dict(part.split("=", 1) for part in value.split(";") if "=" in part)
        found[item.key] = parts.get("SharedAccessKey", value)
    return found


def leaks(text: bytes, secrets: dict[str, str]) -> list[str]:
    return [name for name, value in secrets.items() if value.encode() in text]


def test_no_file_that_a_run_leaves_behind_holds_a_secret(lab, secrets):
    assert len(secrets) >= 4
    found = {}
    for path in lab.state.rglob("*"):
        if path.is_file() and path.name not in SECRET_FILES and (names := leaks(path.read_bytes(), secrets)):
            found[str(path.relative_to(lab.state))] = names
    assert not found


def test_the_files_that_do_hold_secrets_are_for_their_owner_alone(lab, secrets):
    for name in SECRET_FILES:
        for path in lab.state.rglob(name):
            assert path.stat().st_mode & 0o077 == 0, path


def test_no_command_line_holds_a_secret(lab, secrets):
    assert lab.processes()
    for process in lab.processes():
        assert not leaks(" ".join(process.cmdline()).encode(), secrets)


def test_no_output_run_or_notebook_holds_a_secret(lab, secrets):
    shown = [lab("status"), json.dumps(lab.json("status")), lab("verify"), lab("show", "event_hubs"), lab("env")]
    client = lab.workspace()
    for run in client.jobs.list_runs(expand_tasks=True):
        shown.append(json.dumps(run.as_dict()))
        shown += [str(client.jobs.get_run_output(task.run_id).as_dict()) for task in run.tasks or []]
    shown += [json.dumps(job.as_dict()) for job in client.jobs.list(expand_tasks=True)]
    shown += [json.dumps(cluster.as_dict()) for cluster in client.clusters.list()]
    assert not leaks("\n".join(shown).encode(), secrets)


def test_the_checkout_is_as_it_was(lab):
    status = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True)
    changed = [line for line in status.stdout.splitlines() if "Pulumi." in line or ".lab" in line or "jobs/" in line]
    assert not changed
