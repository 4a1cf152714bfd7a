"""The Pulumi CLI as the Automation API runs it, made interruptible and cheap."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pulumi.automation as auto
from pulumi.automation import CommandResult, LocalWorkspace, OpMap, OutputMap, PulumiCommand, UpdateSummary
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

from toolchain.engine import VERSION

OnOutput = Callable[[str], object]


class Cli(PulumiCommand):
    """Runs the CLI in its own process group.

    A terminal's Ctrl-C would reach the CLI as well as us, and the CLI takes a second signal for "stop at once, whatever
    is under way". In its own group it gets exactly the signals that `interrupt` sends.
    """

    def __init__(self, pulumi: Path):
        # The base class would ask the CLI for its version (0.2 s); the toolchain has already refused older ones.
        self.command = str(pulumi)
        self.version = VersionInfo.parse(VERSION)
        self._process: subprocess.Popen[str] | None = None

    def interrupt(self) -> None:
        """Ask the CLI to stop after the operations under way; a second call stops it at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGINT)

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: OnOutput | None = None,
        on_error: OnOutput | None = None,
    ) -> CommandResult:
        """Run one command; raises the Automation API's error for its failure."""
        env = {**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"}
        env["PATH"] = os.pathsep.join([str(Path(self.command).parent), env.get("PATH", "")])
        with subprocess.Popen(
            [self.command, "--non-interactive", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=env,
            encoding="utf-8",
            start_new_session=True,
        ) as process:
            self._process = process
            texts: dict[str, list[str]] = {"out": [], "err": []}

            def read(stream: object, name: str, callback: OnOutput | None) -> None:
                for line in stream:  # type: ignore[attr-defined]
                    texts[name].append(line.rstrip())
                    if callback:
                        callback(line.rstrip())

            readers = [
                threading.Thread(target=read, args=(process.stdout, "out", on_output)),
                threading.Thread(target=read, args=(process.stderr, "err", on_error)),
            ]
            for reader in readers:
                reader.start()
            for reader in readers:
                reader.join()
            code = process.wait()
            self._process = None
        result = CommandResult("\n".join(texts["out"]), "\n".join(texts["err"]), code)
        if code:
            raise create_command_error(result)
        return result


class QuickStack(auto.Stack):
    """A stack known to exist: it is not selected first, nor asked for its outputs and history after each operation.

    Each of those is a CLI call. What they would tell arrives with the engine's events and stands in the state.
    """

    def __init__(self, name: str, workspace: LocalWorkspace):
        self.name = name
        self.workspace = workspace

    def outputs(self) -> OutputMap:
        """Nothing: read the state instead."""
        return {}

    def info(self, show_secrets: bool = True) -> UpdateSummary:
        """A summary without content: read the events instead."""
        from datetime import UTC, datetime

        changes: OpMap = {}
        return UpdateSummary("", datetime.now(UTC), "", {}, {}, "succeeded", resource_changes=changes)
