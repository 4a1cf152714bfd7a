"""The `lab` command as its tests use it: real processes on a state folder of their own."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from databricks.sdk import WorkspaceClient

ROOT = Path(__file__).resolve().parents[1]
LIMIT = pytest.mark.timeout(1800)
"""A run of the whole lab takes minutes, and more where the machine is slow."""


def wait_until(condition: Callable[[], object], what: str, seconds: float = 120) -> None:
    """Wait for a condition; the test fails when it takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds} s for {what}")
        time.sleep(0.05)


def namespace(kinds: str, first: str) -> list[str]:
    """The command that runs another one in a namespace of its own: `unshare`'s kinds, and what root there does first.

    Skips the test where the system lets users make none.
    """
    command = ["unshare", f"-r{kinds}", "sh", "-c", f'{first} && exec "$@"', "sh"]
    if not shutil.which("unshare") or subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("users can't make namespaces on this system")
    return command


def copy_checkout(to: Path) -> Path:
    """Copy what git tracks to a folder, which need not exist; returns it."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, tracked.stdout.split("\0")):
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, to / name)
    return to


@dataclass
class Lab:
    """The `lab` command against one state folder, and the ways in that a user's own programs have.

    variables: what differs in the environment; within: the start of a command that runs `lab`; root: the checkout
    """

    state: Path
    variables: dict[str, str] = field(default_factory=dict)
    within: list[str] = field(default_factory=list)
    root: Path = ROOT
    ledger: dict = field(default_factory=dict)
    _outputs: dict[str, dict] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        own = {"STREAMING_LAB_STATE": str(self.state), "NO_COLOR": "1", "COLUMNS": "160"}
        return {**os.environ, **own, **self.variables}

    def start(self, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [*self.within, Path(sys.executable).with_name("lab"), *arguments],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __call__(self, *arguments: str, exits: int = 0) -> str:
        """Run `lab`, expect this exit code, return what it printed (its errors when a failure was expected)."""
        process = self.start(*arguments)
        out, errors = process.communicate(timeout=900)
        assert process.returncode == exits, f"lab {' '.join(arguments)} → {process.returncode}\n{out}\n{errors}"
        assert "Traceback" not in out + errors
        return out if not exits else errors + out

    def json(self, *arguments: str, exits: int = 0) -> dict:
        process = self.start(*arguments, "--json")
        out, errors = process.communicate(timeout=900)
        assert process.returncode == exits, f"{out}\n{errors}"
        return json.loads(out)

    @property
    def endpoint(self) -> dict:
        return json.loads((self.state / "endpoint.json").read_text())

    @property
    def token(self) -> str:
        return (self.state / "token").read_text().strip()

    def outputs(self, student: str = "dev") -> dict:
        """The outputs of a student's stack, asked for once: they stay as they are while the lab is up."""
        if student not in self._outputs:
            self._outputs[student] = self.json("status", "--student", student)["outputs"]
        return self._outputs[student]

    def workspace(self, student: str = "dev") -> WorkspaceClient:
        url = self.endpoint["workspaces"][self.outputs(student)["workspaceUrl"]]
        return WorkspaceClient(host=url, token=self.token, auth_type="pat")

    def processes(self) -> list[psutil.Process]:
        """Every process that names this state folder or runs below it."""
        found = []
        for process in psutil.process_iter(["pid", "cmdline"]):
            words = " ".join(process.info["cmdline"] or [])
            if str(self.state) in words and process.pid != os.getpid():
                found.append(process)
        return found


@contextmanager
def lab_in(state: Path) -> Iterator[Lab]:
    """A lab that is up inside the block; after it, it is down and no process of it is left."""
    lab = Lab(state)
    try:
        lab("up")
        yield lab
    finally:
        lab.start("down").communicate(timeout=300)
        for process in lab.processes():
            process.kill()
