"""The Pulumi engine for one student's stack, through the Automation API."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pulumi.automation as auto
import yaml

import toolchain
from lab.clouds import Cloud
from lab.diagnostics import Events
from lab.engine_cli import Cli, KilledError, QuickStack
from lab.errors import Interrupted, LabError, set_up
from lab.program import preload, run_program
from lab.project import Project, StackConfig, write_private
from lab.recovery import remember_failed
from lab.report import Report
from lab.state import State, read

# The CLI's own sentence in the Automation API's text for a failure.
_SENTENCE = re.compile(r"^ *(?:stderr: )?error: (.+)$", re.MULTILINE)
# What the CLI says where nobody is logged in to a backend, or the login has expired.
_NOT_LOGGED_IN = re.compile(r"PULUMI_ACCESS_TOKEN|pulumi login|\b401\b|invalid access token", re.IGNORECASE)


@dataclass(frozen=True)
class UpResult:
    """What an `up` did: resources that exist now, how many of them it changed, and the stack's outputs."""

    resources: int
    changed: int
    outputs: dict[str, Any]


class Engine:
    """Runs the program for one stack of one cloud.

    Pulumi.yaml and the stack's configuration are written to the state folder, where `lab env` lets the CLI work
    too, so that nothing of a stack (its `encryptionsalt` above all) is written into the checkout.

    Raises LabError where the Pulumi CLI is missing, so before anything is started for it.

    created: types of the resources that `up` created, whether it succeeded or not
    """

    def __init__(self, project: Project, cloud: Cloud, student: str):
        self.project = project
        self.cloud = cloud
        self.student = student
        self.created: set[str] = set()
        with set_up():
            self._pulumi = toolchain.pulumi()

    @property
    def config_file(self) -> Path:
        """The stack's configuration as the engine reads it."""
        return self.cloud.folder / f"Pulumi.{self.student}.yaml"

    @property
    def lock(self) -> Path:
        """The lock file of this stack."""
        return self.project.state / "locks" / f"{self.student} on {self.cloud.title}.lock"

    def state(self) -> State | None:
        """What is recorded of the stack, or None when there is no such stack."""
        return read(self.project, self.cloud, self.student)

    def export(self) -> dict[str, Any] | None:
        """The stack's deployment as the CLI exports it, or None when there is no such stack."""
        self._write_project()
        try:
            exported = self.command("stack", "export")
        except auto.StackNotFoundError:
            return None
        return dict(json.loads(exported)["deployment"])

    def write_config(self, config: StackConfig) -> None:
        """Give the engine the stack's configuration, keeping what the engine itself keeps in that file (the salt)."""
        self._write_project()
        kept = yaml.safe_load(self.config_file.read_text(encoding="utf-8")) if self.config_file.exists() else {}
        kept = {key: value for key, value in (kept or {}).items() if key != "config"}
        write_private(self.config_file, yaml.safe_dump({**kept, "config": dict(config.values)}, sort_keys=True))

    def create_stack(self) -> None:
        """Make the stack where there is none."""
        if self.state() is None:
            self.command("stack", "init", self.student, named=False)

    def up(self, report: Report) -> UpResult:
        """Run the program and make the cloud agree with it; raises LabError with the first failure."""
        events = Events(report, "making")
        preload(self.project.root)
        workspace = self._workspace(lambda: run_program(self.project.root))
        stack = QuickStack(self.student, workspace)
        report.now("starting the engine")
        try:
            self._operate(workspace, lambda: stack.up(color="never", on_event=events), events, "up")
        finally:
            self.created |= events.created
            remember_failed(self.cloud, self.student, events.failed_creates)
        state = self.state()
        return UpResult(events.resources, events.changed, state.outputs if state else {})

    def destroy(self, report: Report) -> int:
        """Delete everything that the stack records; returns how many resources that were."""
        events = Events(report, "deleting")
        workspace = self._workspace(None)
        stack = QuickStack(self.student, workspace)
        self._operate(workspace, lambda: stack.destroy(color="never", on_event=events), events, "down")
        return events.changed

    def remove_stack(self) -> None:
        """Forget the stack and its configuration."""
        if self.state() is not None:
            self.command("stack", "rm", "--yes", "--force", self.student, named=False)
        self.config_file.unlink(missing_ok=True)

    def command(self, *arguments: str, named: bool = True) -> str:
        """Run one CLI command on the stack (`named`: with --stack) and return what it printed.

        Raises StackNotFoundError where there is no such stack, LabError with the CLI's sentence for its other failures.
        """
        workspace = self._workspace(None)
        stack = ["--stack", self.student] if named else []
        try:
            done = workspace.pulumi_command.run([*arguments, *stack], workspace.work_dir, workspace.env_vars)
        except auto.StackNotFoundError:
            raise
        except auto.CommandError as error:
            raise self._refused(error, "pulumi", "Correct it, then run the same command again.") from None
        return str(done.stdout)

    def cancel_stale_lock(self, report: Report) -> None:
        """Remove the engine's own locks whose process is dead; wait for one that lives."""
        backend = self.cloud.backend()
        folder = backend / ".pulumi" / "locks" / "organization" / self.project.name / self.student if backend else None
        for file in folder.glob("*.json") if folder and folder.is_dir() else ():
            holder = _holder(file)
            if holder is not None:
                report.line("waiting", f"pulumi (process {holder.pid}) works on {self.student}; this goes on after it")
                holder.wait()
            if file.exists():
                self.command("cancel", "--yes")
                return

    def _write_project(self) -> None:
        """The project's settings with absolute paths, because they are read from the state folder."""
        settings = self.project.settings
        settings["main"] = str(self.project.root)
        settings["runtime"] = {"name": "python", "options": {"virtualenv": sys.prefix}}
        text = yaml.safe_dump(settings, sort_keys=False)
        file = self.cloud.folder / "Pulumi.yaml"
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            write_private(file, text)

    def _workspace(self, program: Callable[[], None] | None) -> auto.LocalWorkspace:
        return auto.LocalWorkspace(
            work_dir=str(self.cloud.folder),
            program=program,
            env_vars=self.cloud.engine_env(),
            pulumi_command=Cli(self._pulumi),
        )

    def _operate(
        self, workspace: auto.LocalWorkspace, operation: Callable[[], object], events: Events, command: str
    ) -> None:
        """Run an engine operation in a thread, so that Ctrl-C reaches us first and then the engine, once."""
        cli = workspace.pulumi_command
        assert isinstance(cli, Cli)
        interrupted = False

        def stop(*_: object) -> None:
            nonlocal interrupted
            interrupted = True
            events.report.line("stopping", "after the step under way (Ctrl-C again: at once)")
            cli.interrupt()

        with ThreadPoolExecutor(1) as pool, _on_ctrl_c(stop), warnings.catch_warnings():
            # The SDK warns when the CLI ends in the middle of an event; the CLI's failure says what happened.
            warnings.filterwarnings("ignore", message="Error in event stream")
            try:
                pool.submit(operation).result()
                # After a request to stop too: then it was complete before that had an effect.
                return
            except auto.CommandError as error:
                if not interrupted:
                    raise self._failed(error, events, command) from None
        raise Interrupted(
            command,
            f"interrupted; {self._recorded()} resources exist",
            "lab up goes on from here, lab down removes them.",
        )

    def _recorded(self) -> int:
        state = self.state()
        return len(state.own) if state else 0

    def _failed(self, error: auto.CommandError, events: Events, command: str) -> LabError:
        failure = events.failure
        if command == "down":
            advice = f"Run lab down again. {self._recorded()} resources are still there."
        elif failure and "already exist" in failure.message:
            advice = (
                "If it is a remainder of this lab, lab down deletes it; if it is another's, choose another student or "
                "course. Then run lab up again."
            )
        elif there := self._recorded():
            advice = f"Correct it, then run lab up again: it goes on from the {there} resources that exist."
        else:
            advice = "Correct it, then run lab up again. Nothing was created."
        if failure is None or isinstance(error, auto.ConcurrentUpdateError | KilledError):
            return self._refused(error, command, advice, events.log)
        return LabError(failure.what or command, failure.message, advice, detail=_detail(error, events.log))

    def _refused(self, error: auto.CommandError, what: str, advice: str, log: Sequence[str] = ()) -> LabError:
        """The sentence for a failure that is the CLI's own."""
        if isinstance(error, KilledError):
            advice = "Run the same command again: it continues from what was recorded."
            return LabError(what, f"Pulumi was killed ({error.signal})", advice, detail=_detail(error, log))
        if isinstance(error, auto.ConcurrentUpdateError):
            advice = f"Wait for it, or, if it is dead, run pulumi cancel {self.student}."
            return LabError(what, f"another engine works on {self.student}", advice)
        sentences = _SENTENCE.findall(str(error))
        message = sentences[-1].strip() if sentences else "Pulumi failed without an error message"
        if _NOT_LOGGED_IN.search(message):
            advice = "Run pulumi login, then run the same command again."
        return LabError(what, message, advice, detail=_detail(error, log))


@contextlib.contextmanager
def _on_ctrl_c(stop: Callable[..., None]) -> Iterator[None]:
    """Call `stop` on Ctrl-C; an exception in the middle of whatever the main thread does could lose the request.

    Who started this process so that it ignores Ctrl-C, as shells do in the background, still has it ignored.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _detail(error: auto.CommandError, log: Sequence[str]) -> str:
    return "\n".join([*log, str(error)])


def _holder(lock: Path) -> psutil.Process | None:
    """The engine that holds one of the engine's own lock files, when it lives."""
    with contextlib.suppress(OSError, ValueError, KeyError, psutil.Error):
        holder = psutil.Process(int(json.loads(lock.read_text(encoding="utf-8"))["pid"]))
        if "pulumi" in holder.name():
            return holder
    return None
