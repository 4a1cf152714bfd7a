"""A project of its own for each test, and a workspace that answers as Databricks does, without one."""

import io
import json
import textwrap
from types import SimpleNamespace

import pytest
from databricks.sdk.errors import NotFound
from databricks.sdk.service import jobs

from lab.main import main
from lab.project import Project
from lab.runs import Workspace

PROGRAM = """
import pulumi
config = pulumi.Config()
pulumi.export("student", config.require("student"))
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A checkout with a program that makes nothing, and its state folder; also the working directory."""
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "Pulumi.yaml").write_text("name: streaming-lab\nruntime:\n  name: python\n  options: {virtualenv: .venv}\n")
    (root / "Pulumi.dev.yaml").write_text(
        "config: {'streaming-lab:hubPartitions': 2, 'streaming-lab:noPublicIp': false}\n"
    )
    (root / "__main__.py").write_text(textwrap.dedent(PROGRAM))
    monkeypatch.delenv("STREAMING_LAB_STATE", raising=False)
    monkeypatch.delenv("STREAMING_LAB_SHELL", raising=False)
    monkeypatch.chdir(root)
    return Project(root, root / ".lab")


class Recorder:
    """A report that remembers."""

    def __init__(self):
        self.lines = []
        self.moments = []

    def now(self, text):
        self.moments.append(text)

    def line(self, what, text):
        self.lines.append((what, text))


@pytest.fixture
def report():
    return Recorder()


@pytest.fixture
def lab(project, capsys):
    """Run the command in this process: (exit code, standard output, standard error)."""

    def run(*arguments):
        code = main(list(arguments))
        captured = capsys.readouterr()
        return SimpleNamespace(code=code, out=captured.out, err=captured.err)

    return run


class FakeJobs:
    """Jobs whose runs go through the given states, one at each look; every task starts at `task_start`."""

    task_start = 1_767_225_600_000  # 2026-01-01T00:00:00Z in milliseconds

    def __init__(self):
        self.runs = {}
        self.outputs = {}
        self.started = []
        self.updates = []
        self.canceled = []
        self.submitted = []
        self.paused = jobs.PauseStatus.PAUSED
        self.next_run = None

    def add(self, run_id, looks, job_id=1, parameters=()):
        self.runs[run_id] = SimpleNamespace(job_id=job_id, looks=list(looks), parameters=dict(parameters))

    def run_now(self, job_id, only=None, job_parameters=None):
        self.started.append((job_id, only, job_parameters))
        run_id, looks = self.next_run
        self.add(run_id, looks, job_id, job_parameters or {})
        return SimpleNamespace(run_id=run_id)

    def submit(self, run_name, tasks, run_as):
        self.submitted.append((run_name, tasks, run_as))
        run_id, looks = self.next_run
        self.add(run_id, looks, None)
        return SimpleNamespace(run_id=run_id)

    def get_run(self, run_id):
        run = self.runs[run_id]
        look = run.looks.pop(0) if len(run.looks) > 1 else run.looks[0]
        cycle, result, tasks = look
        return jobs.Run.from_dict(
            {
                "run_id": run_id,
                "job_id": run.job_id,
                "job_parameters": [{"name": name, "value": value} for name, value in run.parameters.items()],
                "state": {"life_cycle_state": cycle, **({"result_state": result} if result else {})},
                "tasks": [
                    {
                        "task_key": key,
                        "run_id": run_id * 100 + at,
                        "start_time": self.task_start,
                        "state": {"life_cycle_state": task[0], **({"result_state": task[1]} if task[1] else {})},
                    }
                    for at, (key, task) in enumerate(tasks.items())
                ],
            }
        )

    def get_run_output(self, run_id):
        return jobs.RunOutput.from_dict(self.outputs[run_id])

    def list_runs(self, job_id, active_only=False, limit=None):
        for run_id, run in sorted(self.runs.items(), reverse=True):
            if run.job_id == job_id and not (active_only and run.looks[0][0] == "TERMINATED"):
                yield jobs.BaseRun(run_id=run_id)

    def get(self, job_id):
        return jobs.Job(settings=jobs.JobSettings(continuous=jobs.Continuous(pause_status=self.paused)))

    def update(self, job_id, new_settings):
        self.paused = new_settings.continuous.pause_status
        self.updates.append((job_id, self.paused))

    def cancel_run(self, run_id):
        self.canceled.append(run_id)
        self.runs[run_id].looks = [("TERMINATED", "CANCELED", {})]
        return SimpleNamespace(result=lambda: None)


class FakeFiles:
    """Workspace files in a dictionary; `on_upload` lets a test react as a job would."""

    def __init__(self):
        self.files = {}
        self.on_upload = lambda path: None

    def mkdirs(self, path):
        pass

    def upload(self, path, content, format=None, overwrite=False):
        self.files[path] = content
        self.on_upload(path)

    def download(self, path):
        if path not in self.files:
            raise NotFound(f"Path ({path}) doesn't exist.")
        return io.BytesIO(self.files[path])

    def progress(self, dataset, task, **told):
        path = f"/Shared/streaming-lab/dev/control/progress/{dataset}-{task}.json"
        known = {"task": task, "dataset": dataset, "active": True, "updated_at": "2026-01-01T00:00:01+00:00"}
        self.files[path] = json.dumps({**known, **told}).encode()


@pytest.fixture
def client():
    return SimpleNamespace(jobs=FakeJobs(), workspace=FakeFiles())


@pytest.fixture
def workspace(client):
    outputs = {
        "control": "/Shared/streaming-lab/dev/control",
        "exercisesJobId": "1",
        "liveJobId": "2",
        "clusterId": "0101-000000-abc",
        "runAs": "ada@example.com",
        "wheel": "/Workspace/Shared/streaming-lab/dev/wheel/streaming_lab-1-py3-none-any.whl",
        "root": "abfss://lab@account.dfs.core.windows.net",
    }
    return Workspace(client, outputs, poll_seconds=0)
