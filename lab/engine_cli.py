"""The Pulumi CLI as the Automation API runs it, made interruptible and cheap."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Container, Iterable, Mapping
from pathlib import Path

import pulumi.automation as auto
from pulumi.automation import CommandResult, LocalWorkspace, OpMap, OutputMap, PulumiCommand, UpdateSummary
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

from toolchain.engine import VERSION

OnOutput = Callable[[str], object]


def foreign(environment: Iterable[str], own: Container[str]) -> set[str]:
    """The names in an environment that would turn the CLI from the stack, folder or pass phrase that it is given.

    own: the names that the command itself sets; a pass phrase in the environment would beat the one in its file.
    """
    names = {name for name in environment if name == "PULUMI_STACK" or name.startswith("PULUMI_OPTION_")}
    return names | ({"PULUMI_CONFIG_PASSPHRASE"} if "PULUMI_CONFIG_PASSPHRASE_FILE" in own else set())


class KilledError(auto.CommandError):
    """The CLI did not end by itself. signal: what ended it, such as SIGKILL."""

    def __init__(self, result: CommandResult):
        super().__init__(result)
        self.signal = signal.Signals(-result.code).name


class Cli(PulumiCommand):
    """Runs the CLI in its own process group.

    A terminal's Ctrl-C would reach the CLI as well as us, and the CLI takes a second signal for "stop at once, whatever
    is under way". In its own group it gets exactly the signals that `interrupt` sends.
    """

    def __init__(self, pulumi: Path):
        # The base class would ask the CLI for its version (0.2 s); the toolchain has already refused older ones.
        self.command = str(pulumi)
        self.version = VersionInfo.parse(VERSION)
        self._process: subprocess.Popen[bytes] | None = None
        self._interrupted = False
        self._starting = threading.Lock()

    def interrupt(self) -> None:
        """Ask the CLI to stop after the operations under way; a second call stops it at once.

        Where no command runs yet, none begins any more.
        """
        with self._starting:
            self._interrupted = True
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
        """Run one command; raises the Automation API's error for its failure. Output is told at the end."""
        kept = {name: os.environ[name] for name in os.environ.keys() - foreign(os.environ, additional_env)}
        env = {**kept, **additional_env, "PULUMI_AUTOMATION_API": "true"}
        env["PATH"] = os.pathsep.join([str(Path(self.command).parent), env.get("PATH", "")])
        # Files, not pipes: when this process is killed, a write to a broken pipe would kill the CLI in the middle of
        # its own writing. So it ends what is under way and leaves its state in order.
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
            with self._starting:
                if self._interrupted:
                    raise create_command_error(CommandResult("", "interrupted before it began", 130))
                self._process = subprocess.Popen(
                    [self.command, "--non-interactive", *args],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=errors,
                    cwd=cwd,
                    env=env,
                    start_new_session=True,
                )
            code = self._process.wait()
            self._process = None
            out.seek(0)
            errors.seek(0)
            result = CommandResult(out.read(), errors.read(), code)
        for told, text in ((on_output, result.stdout), (on_error, result.stderr)):
            if told:
                told(text)
        if code < 0:
            raise KilledError(result)
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
