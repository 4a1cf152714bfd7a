"""The two clouds, as the command sees them: where the engine, ARM and the workspace are, and how to get in.

This is the only file of the command that knows the local cloud.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lab.arm import Arm
from lab.errors import LabError, set_up
from lab.locks import held, is_held
from lab.loopback import past_proxies
from lab.project import Project, write_private
from lab.report import Report

if TYPE_CHECKING:
    from collections.abc import Mapping

    from databricks.sdk import WorkspaceClient

# Set by `lab env`: this shell's Pulumi is the local cloud's.
SHELL_VARIABLE = "STREAMING_LAB_SHELL"
MANAGEMENT = "https://management.azure.com"

# What the background process, and what the engine and this command, leave in the state folder. The database goes last:
# while any of it is there, the next `lab down` knows that there is something to remove.
_ENGINE_FILES = ("local", "passphrase")
_CLOUD_FILES = (
    *("clusters", "eventhubs", "storage", "tmp", "workspaces"),
    *("cloud.log", "endpoint.json", "lock", "token", "cloud.db", "cloud.db-wal", "cloud.db-shm"),
)


class Cloud(Protocol):
    """What the command needs of a cloud."""

    name: str
    title: str
    poll_seconds: float
    folder: Path

    def prepare(self, report: Report) -> None:
        """Check what is needed and start what must run; raises LabError."""

    def engine_env(self) -> dict[str, str]:
        """What the Pulumi CLI needs in its environment."""

    def backend(self) -> Path | None:
        """The folder of the state backend, when it is one."""

    def arm(self) -> Arm:
        """The resource manager's client."""

    def workspace(self, outputs: Mapping[str, Any]) -> WorkspaceClient:
        """The Databricks client for the workspace that a stack's outputs name."""

    def in_use(self) -> bool:
        """Whether the cloud may hold anything at all: false only when that is known without asking it."""

    def storage(self) -> Path | None:
        """The folder with a folder for each storage account, when it is on this machine."""

    def size(self) -> int | None:
        """Bytes that the cloud takes of this machine's disk; None when it is elsewhere."""

    def rehearse(self, latencies: float) -> None:
        """Let creations and deletions take so many times as long as on Azure; raises LabError on Azure."""

    def release(self, report: Report) -> bool:
        """Stop what runs for the command when nothing is left in the cloud and nobody makes anything in it.

        True when it was stopped.
        """


def choose(name: str, project: Project) -> Cloud:
    """The cloud of this name: `local` or `azure`."""
    if name == "azure":
        return AzureCloud(project)
    # Before a client reads them, and for every process that is started from here.
    os.environ.update(past_proxies(os.environ))
    return LocalCloud(project)


class LocalCloud:
    """Azure and Databricks on this machine, in one background process."""

    name = "local"
    title = "the local cloud"
    poll_seconds = 0.3

    def __init__(self, project: Project):
        self._project = project
        self.folder = project.state / "local"
        # The local cloud's own files stand at the top of the state folder, the engine's below `local`.
        self.state = project.state
        self.log = project.state / "cloud.log"
        self._lock = project.state / "locks" / "the local cloud.lock"
        self._endpoint: dict[str, Any] | None = None

    def prepare(self, report: Report) -> None:
        """Start the background process unless it runs."""
        with held(self._lock, "another lab command", report):
            self._endpoint = self._running() or self._start(report)

    def in_use(self) -> bool:
        """False when there is no state of a cloud on this machine."""
        return any(self.state.glob("cloud.db*")) or self._running() is not None

    def pid(self) -> int | None:
        """The background process, when it runs."""
        endpoint = self._running()
        return int(endpoint["pid"]) if endpoint else None

    def engine_env(self) -> dict[str, str]:
        """Attach the engine to the local providers; its state, home and pass phrase are in the state folder."""
        passphrase = self.state / "passphrase"
        if not passphrase.exists():
            write_private(passphrase, secrets.token_urlsafe(32))
        backend = self.folder / "backend"
        backend.mkdir(parents=True, exist_ok=True)
        providers = self._endpoint_now()["providers"]
        return {
            # Without the side files for metadata: a killed engine leaves them empty, and then reads no state any more.
            "PULUMI_BACKEND_URL": f"{backend.as_uri()}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase),
            "PULUMI_DEBUG_PROVIDERS": ",".join(f"{name}:{port}" for name, port in providers.items()),
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_HOME": str(self.folder / "home"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }

    def backend(self) -> Path:
        """The engine's state is in files."""
        return self.folder / "backend"

    def arm(self) -> Arm:
        """The local resource manager."""
        endpoint, token = self._endpoint_now(), self._token()
        return Arm(endpoint["arm"], endpoint["subscription"], lambda: token, self.poll_seconds)

    def workspace(self, outputs: Mapping[str, Any]) -> WorkspaceClient:
        """The local workspace with this URL."""
        from databricks.sdk import WorkspaceClient
        from databricks.sdk.config import Config

        url = str(outputs["workspaceUrl"])
        host = (self._running() or {}).get("workspaces", {}).get(url)
        if host is None:
            raise LabError("workspace", f"{url} is not on the local cloud", "Run lab up, which makes it again.")
        # On one machine, what does not answer within seconds is gone.
        config = Config(host=host, token=self._token(), auth_type="pat", retry_timeout_seconds=10)
        return WorkspaceClient(config=config)

    def storage(self) -> Path:
        """Spark's folder for `abfss://`."""
        return self.state / "storage"

    def size(self) -> int:
        """The disk space of everything in the state folder."""
        size = 0
        for path in self.state.rglob("*"):
            # Files come and go while a lab streams.
            with contextlib.suppress(OSError):
                # Blocks: Kafka's indexes are sparse.
                size += path.lstat().st_blocks * 512
        return size

    def rehearse(self, latencies: float) -> None:
        """The local cloud keeps the setting until its last lab is down."""
        self.arm().put("/local/rehearsal", {"latencies": latencies})

    def release(self, report: Report) -> bool:
        """Stop the background process when no group is left, and remove all that it and the engine wrote.

        What stays in the state folder are kept data, and the locks, which another command may be waiting for.
        """
        with held(self._lock, "lab down", report):
            # Who holds a stack's lock may be about to make its first group; who has not yet, waits for this lock.
            if any(map(is_held, self.state.glob(f"locks/* on {self.title}.lock"))) or not self._is_empty():
                return False
            self.stop()
            names = [*_CLOUD_FILES]
            if not list(self.backend().glob(".pulumi/stacks/*/*.json")):
                names = [*_ENGINE_FILES, *names]
            for path in (self.state / name for name in names):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
        return True

    def _is_empty(self) -> bool:
        """Whether the cloud itself says that it holds nothing; no answer is no leave to delete."""
        try:
            return self._running() is not None and not self.arm().groups()
        except LabError:
            return False

    def stop(self) -> None:
        """Stop the background process and everything that it started."""
        pid = self.pid()
        if pid is None:
            return
        import psutil

        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(45)
            except psutil.TimeoutExpired:
                for child in [*process.children(recursive=True), process]:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        child.kill()
        self._endpoint = None

    def _endpoint_now(self) -> dict[str, Any]:
        self._endpoint = self._endpoint or self._running()
        if self._endpoint is None:
            raise LabError("local cloud", "its background process is not running", "Run lab up, which starts it.")
        return self._endpoint

    def _running(self) -> dict[str, Any] | None:
        """The endpoint of the background process, when it lives and answers."""
        try:
            endpoint = json.loads((self.state / "endpoint.json").read_text(encoding="utf-8"))
            os.kill(int(endpoint["pid"]), 0)
            address = endpoint["arm"].removeprefix("http://").split(":")
            with socket.create_connection((address[0], int(address[1])), timeout=5):
                return dict(endpoint)
        except (OSError, ValueError, KeyError):
            return None

    def _start(self, report: Report) -> dict[str, Any]:
        import toolchain
        from toolchain.environment import own

        with set_up():
            command = [
                *(sys.executable, "-m", "localcloud", "--state", str(self.state)),
                *("--java", str(toolchain.java())),
                *("--spark-jars", str(toolchain.jars("spark"))),
                *("--kafka-jars", str(toolchain.jars("kafka"))),
                *("--class-archive", str(toolchain.class_archive())),
            ]
        report.now("starting the local cloud")
        (self.state / "endpoint.json").unlink(missing_ok=True)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self._project.root,
                env=own(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            endpoint = self._running()
            if endpoint is not None:
                return endpoint
            if process.poll() is not None:
                raise LabError("local cloud", f"it did not start: {self._last_words()}", f"Its log is {self.log}.")
            time.sleep(0.05)
        process.terminate()
        raise LabError("local cloud", "it did not answer within 60 s", f"Its log is {self.log}.")

    def _last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")

    def _token(self) -> str:
        return (self.state / "token").read_text(encoding="utf-8").strip()


class AzureCloud:
    """Azure itself, for who is signed in with the Azure CLI; the engine's backend is the user's own."""

    name = "azure"
    title = "Azure"
    poll_seconds = 5.0

    def __init__(self, project: Project):
        self.folder = project.state / "azure"
        self._account: dict[str, Any] | None = None

    def prepare(self, report: Report) -> None:
        """Check that the Azure CLI is there and signed in, and that this shell's Pulumi is not the local cloud's."""
        if os.environ.get(SHELL_VARIABLE):
            raise LabError(
                "azure", "this shell is set up for the local cloud (lab env)", "Open another shell, then try again."
            )
        report.now("asking Azure who is signed in")
        self._signed_in()

    def in_use(self) -> bool:
        """Only Azure knows."""
        return True

    def engine_env(self) -> dict[str, str]:
        """The providers sign in with the Azure CLI."""
        return {"ARM_SUBSCRIPTION_ID": str(self._signed_in()["id"]), "PULUMI_SKIP_UPDATE_CHECK": "true"}

    def backend(self) -> None:
        """The user's own, reached through the CLI."""
        return

    def arm(self) -> Arm:
        """Azure Resource Manager with the Azure CLI's token."""
        from azure.identity import AzureCliCredential

        credential = AzureCliCredential()
        return Arm(
            MANAGEMENT,
            str(self._signed_in()["id"]),
            lambda: credential.get_token(f"{MANAGEMENT}/.default").token,
            self.poll_seconds,
        )

    def workspace(self, outputs: Mapping[str, Any]) -> WorkspaceClient:
        """The workspace, with the Azure CLI's sign-in."""
        from databricks.sdk import WorkspaceClient

        return WorkspaceClient(
            host=f"https://{outputs['workspaceUrl']}",
            azure_workspace_resource_id=str(outputs["workspaceResourceId"]),
            auth_type="azure-cli",
        )

    def storage(self) -> None:
        """On Azure, where nothing can be kept without cost."""
        return

    def size(self) -> None:
        """Nothing of Azure is on this machine."""
        return

    def rehearse(self, latencies: float) -> None:
        """Refused: Azure takes the time that it takes."""
        raise LabError("--latencies", "it is for rehearsals on the local cloud", "Leave it out.", code=2)

    def release(self, report: Report) -> bool:
        """Nothing of Azure runs for the command."""
        return False

    def _signed_in(self) -> dict[str, Any]:
        if self._account is None:
            az = shutil.which("az")
            if az is None:
                raise LabError("azure", "the Azure CLI (az) is not on PATH", "Install it and run az login.")
            told = subprocess.run(
                [az, "account", "show", "--output", "json"], capture_output=True, text=True, check=False
            )
            if told.returncode:
                raise LabError(
                    "azure",
                    "the Azure CLI is not signed in",
                    "Run az login, then az account set --subscription NAME.",
                )
            self._account = json.loads(told.stdout)
            if self._account.get("state", "Enabled") != "Enabled":
                raise LabError(
                    "azure",
                    f"subscription {self._account.get('name')} is {self._account['state'].lower()}",
                    "Choose another with az account set --subscription NAME.",
                )
        return self._account
