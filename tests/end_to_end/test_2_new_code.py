"""A checkout whose code changes: the cluster stands still until it is used, and then runs the new code alone."""

import shutil
import subprocess
from pathlib import PurePosixPath

import pytest
from databricks.sdk.service import compute

from tests.command import ROOT, Lab, wait_until


@pytest.fixture
def checkout(tmp_path):
    """A lab in a copy of this checkout."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, tracked.stdout.split("\0")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    lab = Lab(tmp_path / ".lab", {"STREAMING_LAB_STATE": ""}, root=tmp_path)
    yield lab
    assert lab.json("down") == {"leftovers": []}
    assert not lab.processes()


def generate(client, outputs):
    """What the task `generate` printed."""
    waiter = client.jobs.run_now(int(outputs["exercisesJobId"]), only=["generate"], job_parameters={"scale": "0.01"})
    run = waiter.result()
    return client.jobs.get_run_output(run.tasks[0].run_id).logs


def test_a_changed_wheel_replaces_the_one_of_before(checkout):
    checkout("up")
    outputs, client = checkout.outputs(), checkout.workspace()
    cluster = outputs["clusterId"]

    def state():
        return client.clusters.get(cluster).state

    wait_until(lambda: state() is compute.State.TERMINATED, "the new cluster to stop")
    assert not [process for process in checkout.processes() if "java" in process.name()]
    generate(client, outputs)
    context = client.clusters.get(cluster).spark_context_id
    assert "0 changed" in checkout("up")
    assert client.clusters.get(cluster).spark_context_id == context, "a cluster restarts for nothing"

    source = checkout.root / "jobs" / "streaming_lab" / "generate.py"
    source.write_text(source.read_text() + "\nprint('the new code')\n")
    assert "restarting" in checkout("up")
    wait_until(lambda: state() is compute.State.RUNNING, "the cluster to restart")
    wheel = checkout.json("status")["outputs"]["wheel"]
    assert wheel != outputs["wheel"]
    folder = str(PurePosixPath(wheel.removeprefix("/Workspace")).parent)
    assert [f"/Workspace{file.path}" for file in client.workspace.list(folder)] == [wheel]
    assert "the new code" in generate(client, outputs)
    client.clusters.delete_and_wait(cluster)
    assert "the new code" in generate(client, outputs)
    attached = [status.library.whl for status in client.libraries.cluster_status(cluster) if status.library]
    assert attached == [wheel]
