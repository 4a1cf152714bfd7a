"""The Pulumi engine for one student's stack, through the Automation API."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
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
from lab.engine_cli import Cli, QuickStack
from lab.errors import Interrupted, LabError
from lab.program import preload, run_program
from lab.project import Project, StackConfig, write_private
from lab.report import Report
from lab.state import State, read


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
    """

    def __init__(self, project: Project, cloud: Cloud, student: str):
        self.project = project
        self.cloud = cloud
        self.student = student
        try:
            self._pulumi = toolchain.pulumi()
        except toolchain.ToolMissing as missing:
            raise LabError("set-up", str(missing), "Run make lab, which sets it up. Nothing was created.") from None

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
        self._operate(workspace, lambda: stack.up(color="never", on_event=events), events, "up")
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
        """Run one CLI command on the stack (`named`: with --stack) and return what it printed."""
        workspace = self._workspace(None)
        stack = ["--stack", self.student] if named else []
        done = workspace.pulumi_command.run([*arguments, *stack], workspace.work_dir, workspace.env_vars)
        return str(done.stdout)

    def cancel_stale_lock(self, report: Report) -> None:
        """Remove the engine's own locks whose process is dead; wait for one that lives."""
        backend = self.cloud.backend()
        folder = backend / ".pulumi" / "locks" / "organization" / self.project.name / self.student if backend else None
        for file in folder.glob("*.json") if folder and folder.is_dir() else ():
            try:
                holder = psutil.Process(int(json.loads(file.read_text(encoding="utf-8"))["pid"]))
                if "pulumi" in holder.name():
                    report.line(
                        "waiting", f"pulumi (process {holder.pid}) works on {self.student}; this goes on after it"
                    )
                    holder.wait()
            except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
                pass
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
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(operation)
            interrupted = False
            while True:
                try:
                    running.result()
                except KeyboardInterrupt:
                    events.report.line("stopping", "after the step under way (Ctrl-C again: at once)")
                    interrupted = True
                    cli.interrupt()
                    continue
                except auto.CommandError as error:
                    if interrupted:
                        break
                    raise self._failed(error, events, command) from None
                break
        if interrupted:
            state = self.state()
            there = len(state.own) if state else 0
            raise Interrupted(
                command, f"interrupted; {there} resources exist", "lab up goes on from here, lab down removes them."
            )

    def _failed(self, error: auto.CommandError, events: Events, command: str) -> LabError:
        if isinstance(error, auto.ConcurrentUpdateError):
            advice = f"Wait for it, or, if it is dead, run pulumi cancel {self.student}."
            return LabError(command, f"another engine works on {self.student}", advice)
        failure = events.failure
        detail = "\n".join([*events.log, str(error)])
        state = self.state()
        there = len(state.own) if state else 0
        if command == "down":
            advice = f"Run lab down again. {there} resources are still there."
        elif failure and "already exist" in failure.message:
            advice = "If it is a remainder of this lab, lab down deletes it; then run lab up again."
        elif there == 0:
            advice = "Correct it, then run lab up again. Nothing was created."
        else:
            advice = f"Correct it, then run lab up again: it goes on from the {there} resources that exist."
        if failure is None:
            lines = [line for line in str(error).splitlines() if line.strip().startswith("error:")]
            message = lines[-1].strip().removeprefix("error: ") if lines else "the engine failed without a reason"
            return LabError(command, message, advice, detail=detail)
        return LabError(failure.what or command, failure.message, advice, detail=detail)
