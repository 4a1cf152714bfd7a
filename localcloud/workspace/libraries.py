"""Wheels of tasks: from the workspace's files to a running cluster."""

import re
import zipfile
from pathlib import Path, PurePosixPath

from localcloud.errors import CloudError
from localcloud.workspace.drivers import Drivers
from localcloud.workspace.files import Files
from localcloud.workspace.run_states import End, failed


class LibraryError(Exception):
    """A wheel that can't be installed or found; `end` is how the task ends."""

    def __init__(self, end: End) -> None:
        super().__init__(end.message)
        self.end = end


def install(paths: list[str], cluster_id: str, files: Files, drivers: Drivers) -> list[Path]:
    """The cluster's copies of the wheels at these workspace paths."""
    return [_install(path, cluster_id, files, drivers) for path in paths]


def require(package: str, wheels: list[Path]) -> None:
    """Refuse a package that none of the wheels holds."""
    names = {re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower() for wheel in wheels}
    if re.sub(r"[-_.]+", "-", package).lower() not in names:
        raise LibraryError(
            failed(
                f"Python wheel with name {package} could not be found. Please check the driver logs for more details",
                "INVALID_RUN_CONFIGURATION",
            )
        )


def _install(path: str, cluster_id: str, files: Files, drivers: Drivers) -> Path:
    def copy(place: Path) -> Path:
        try:
            content = files.read(path)
        except CloudError as refusal:
            raise _failed(f"{path}: {refusal.message}") from None
        target = place / PurePosixPath(path).name
        target.write_bytes(content)
        if not zipfile.is_zipfile(target) or not re.fullmatch(r"[^-]+-[^-]+(-[^-]+){3,4}\.whl", target.name):
            raise _failed(f"{path} is not a valid wheel: its name or its content is not that of a wheel.")
        return target

    return drivers.installed(cluster_id, path, copy)


def _failed(reason: str) -> LibraryError:
    message = f"Library installation failed for library due to user error. Error messages: {reason}"
    return LibraryError(failed(message, "LIBRARY_INSTALLATION_ERROR"))
