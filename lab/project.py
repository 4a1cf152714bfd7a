"""Where the project and its state are, and the configuration of one student's stack."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.errors import LabError

STATE_VARIABLE = "STREAMING_LAB_STATE"
# The config namespaces that are not the program's own: the engine's and the providers'.
ENGINE_NAMESPACES = ("pulumi", "azure-native", "databricks")

# A lab and one run of its exercises write 45 MB; each further run of another scale adds to it.
NEEDED_BYTES = 250_000_000
FULL_BYTES = 1_000_000
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Project:
    """A checkout of the project.

    root: the folder with Pulumi.yaml
    state: the folder that keeps everything the command writes
    """

    root: Path
    state: Path

    @property
    def settings(self) -> dict[str, Any]:
        """Pulumi.yaml, as it is."""
        return _read_yaml(self.root / "Pulumi.yaml")

    @property
    def name(self) -> str:
        """The Pulumi project's name, which is also its config namespace."""
        return str(self.settings["name"])


def find() -> Project:
    """The project around the working directory, else the one that this command was installed from."""
    try:
        here = Path.cwd()
    except FileNotFoundError:
        advice = "Go to the checkout of the lab, then try again."
        raise LabError("project", "the working directory was deleted", advice) from None
    installed = Path(__file__).resolve().parent.parent
    for folder in (here, *here.parents, installed):
        if (folder / "Pulumi.yaml").is_file() and (folder / "__main__.py").is_file():
            chosen = os.environ.get(STATE_VARIABLE)
            return Project(folder, Path(chosen).absolute() if chosen else folder / ".lab")
    raise LabError("project", f"no Pulumi.yaml in {here} or above it", "Go to the checkout of the lab, then try again.")


def ensure_usable(state: Path) -> None:
    """Make the state folder; raises LabError where it can't be written or its disk has no room for a lab."""
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=state) as probe:
            probe.write(b"\0" * 4096)
            probe.flush()
        free = shutil.disk_usage(state).free
    except OSError as error:
        raise unwritable(error, state) from None
    if free < NEEDED_BYTES:
        raise LabError(
            "disk",
            f"{free / 1e6:,.0f} MB are free for {state}, a lab needs {NEEDED_BYTES / 1e6:,.0f} MB",
            "Free some space, then run the same command again. Nothing was created.",
        )


def full(state: Path) -> bool:
    """Whether so little is free for the state folder that any failure may be due to it."""
    try:
        return shutil.disk_usage(state).free < FULL_BYTES
    except OSError:
        return False


def unwritable(error: OSError, path: Path | None = None) -> LabError:
    """The sentence for an operating system's refusal to write."""
    where = path or error.filename or "the state folder"
    if error.errno in NO_SPACE:
        return LabError("disk", f"no space is left for {where}", "Free some space, then run the same command again.")
    reason = (error.strerror or str(error)).lower()
    advice = f"Make it writable, or set {STATE_VARIABLE} to a folder that is."
    return LabError("state", f"{where} can't be written ({reason})", advice)


@dataclass(frozen=True)
class StackConfig:
    """The configuration of one stack.

    values: full keys (`streaming-lab:nodeType`) to texts, as Pulumi passes them to the program
    overrides: those among them that came from `-c`, now or in an earlier up
    """

    values: Mapping[str, str]
    overrides: Mapping[str, str]

    def of(self, namespace: str) -> dict[str, str]:
        """The keys of one namespace, without it."""
        prefix = f"{namespace}:"
        return {key.removeprefix(prefix): value for key, value in self.values.items() if key.startswith(prefix)}


def stack_config(project: Project, student: str, kept: Mapping[str, str], given: Iterable[str]) -> StackConfig:
    """What the stack is configured with, each overriding those before it.

    Pulumi.yaml's defaults, Pulumi.dev.yaml, Pulumi.<student>.yaml (what differs for this student), overrides `kept`
    from earlier, the `given` key=value.
    """
    values = _defaults(project) | _configured(project.root / "Pulumi.dev.yaml")
    own = project.root / f"Pulumi.{student}.yaml"
    if own.is_file():
        values |= _configured(own)
    overrides = dict(kept) | dict(_override(project, pair) for pair in given)
    student_key = f"{project.name}:student"
    if overrides.get(student_key, student) != student:
        raise LabError("-c", f"{student_key} is the stack's name", "Choose the student with --student.", code=2)
    return StackConfig({**values, **overrides, student_key: student}, overrides)


def _override(project: Project, pair: str) -> tuple[str, str]:
    """The full key and the value of a `key=value`; raises LabError for a key that nothing would read."""
    key, equals, value = pair.partition("=")
    if not equals or not key:
        raise LabError("-c", f"{pair} is not of the form key=value", code=2)
    namespace, colon, _ = key.partition(":")
    if not colon:
        return f"{project.name}:{key}", value
    known = (project.name, *ENGINE_NAMESPACES)
    if namespace not in known:
        rule = f"the namespace {namespace} is none of {', '.join(known)}"
        raise LabError("-c", f"{key}: {rule}", f"A key without a namespace is one of {project.name}.", code=2)
    return key, value


def _configured(file: Path) -> dict[str, str]:
    """The config of a stack's file, by full key."""
    return {key: text(value) for key, value in (_read_yaml(file).get("config") or {}).items()}


def _defaults(project: Project) -> dict[str, str]:
    """The defaults that Pulumi.yaml declares, by full key, as the engine will apply them."""
    declared = project.settings.get("config") or {}
    return {
        key if ":" in key else f"{project.name}:{key}": text(declaration["default"])
        for key, declaration in declared.items()
        if isinstance(declaration, dict) and "default" in declaration
    }


def validate(project: Project, config: StackConfig) -> Any:
    """The program's own LabConfig for these values; raises LabError with one sentence a wrong key."""
    from infra.config import ConfigError, LabConfig

    try:
        return LabConfig.load(config.of(project.name))
    except ConfigError as error:
        sentences = str(error).splitlines()
        first, rest = sentences[0], sentences[1:]
        what, colon, message = first.partition(": ")
        advice = "\n".join([*rest, "Correct it, then run lab up again. Nothing was created."])
        raise LabError(what if colon else "config", message or first, advice) from None


def check_student(student: str) -> None:
    """Refuse a student's id that can't name a stack and its files; the program has rules of its own beside this."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", student):
        raise LabError("--student", f"{student} is not a student's id: use letters, digits and dashes")


def text(value: object) -> str:
    """A YAML value as Pulumi passes it to the program."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else json.dumps(value, default=str)


def write_private(path: Path, content: str) -> None:
    """Replace a file at once, readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
    part.replace(path)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise LabError("project", f"{path} can't be read ({(error.strerror or '').lower()})") from None
    except yaml.YAMLError as error:
        raise LabError("project", f"{path.name} is not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(read, dict):
        raise LabError("project", f"{path.name} is not a mapping of keys to values")
    return read
