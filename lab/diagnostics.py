"""The engine's events, counted, and its failures as one sentence each."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pulumi.automation.events import EngineEvent, StepEventMetadata

    from lab.report import Report

CREATES = {"create", "create-replacement", "import", "import-replacement"}
CHANGES = CREATES | {"update", "replace", "delete", "delete-replaced", "discard"}

_ESCAPES = re.compile(r"\x1b\[[0-9;]*m|<\{%.*?%\}>")
# What the engine puts around a provider's own sentence, outermost first.
_WRAPPINGS = [
    re.compile(r"^(?:error|warning): +"),
    re.compile(r"^[\w-]+:[\w/.-]+:\w+ resource '[^']*' has a problem: "),
    re.compile(r"^[\w-]+:[\w/.-]+:\w+ resource '[^']*': property (?=\S+ value \{.*?\} has a problem: )"),
    re.compile(r"^[\w-]+:[\w/.-]+:\w+ \([^)]*\): +(?:error: +)?"),
    re.compile(r"^(?:sdk-v2/provider2\.go:\d+: +)"),
    re.compile(r"^(?:creating|updating|deleting|reading) urn:\S+: +"),
    re.compile(r"^\d+ errors? occurred:\s*\*\s*"),
    re.compile(r"^rpc error: code = \w+ desc = "),
    re.compile(r"^resource '[^']*' (?:creation|update|deletion) failed: "),
]
_PROPERTY = re.compile(r"^(\S+) value \{.*?\} has a problem: ")
_TRAILERS = [re.compile(r"\.? Examine values at '[^']*'\.?$"), re.compile(r"\s*\n.*", re.DOTALL)]


@dataclass
class Failure:
    """One failed resource, or the program itself."""

    what: str
    message: str


@dataclass
class Events:
    """What an engine operation did, collected from its events."""

    report: Report
    doing: str
    touched: dict[str, str] = field(default_factory=dict)
    """URN of each resource of our own (no component, provider or stack) to what was done with it."""
    created: set[str] = field(default_factory=set)
    """Types of the resources of our own that were created."""
    failures: list[Failure] = field(default_factory=list)
    failed_creates: list[dict[str, Any]] = field(default_factory=list)
    """The resources whose creation failed, as far as the engine's record would hold them."""
    log: list[str] = field(default_factory=list)

    def __call__(self, event: EngineEvent) -> None:
        """Take one event."""
        if event.resource_pre_event and _is_ours(event.resource_pre_event.metadata):
            metadata = event.resource_pre_event.metadata
            if _operation(metadata) in CHANGES:
                self.report.now(f"{self.doing} {name_of(metadata.urn)} · {len(self.touched)} done")
        elif event.res_outputs_event and _is_ours(event.res_outputs_event.metadata):
            metadata = event.res_outputs_event.metadata
            operation = _operation(metadata)
            if operation in ("create", "create-replacement"):
                self.created.add(metadata.type)
            if self.touched.get(metadata.urn) not in CHANGES:
                self.touched[metadata.urn] = operation
        elif event.res_op_failed_event and _is_ours(event.res_op_failed_event.metadata):
            metadata = event.res_op_failed_event.metadata
            if _operation(metadata) == "create" and metadata.new:
                new = metadata.new
                kept = {"urn": new.urn, "type": new.type, "custom": True, "inputs": dict(new.inputs or {})}
                self.failed_creates.append({**kept, "parent": new.parent, "provider": new.provider})
        elif event.diagnostic_event:
            self._diagnose(event.diagnostic_event)

    def _diagnose(self, diagnostic: Any) -> None:
        text = _ESCAPES.sub("", diagnostic.message).strip()
        if diagnostic.severity not in ("error", "warning", "info#err") or not text or diagnostic.ephemeral:
            return
        self.log.append(text)
        if diagnostic.severity != "error":
            return
        failure = Failure(name_of(diagnostic.urn or ""), sentence(text))
        if failure.message not in ("update failed", "destroy failed", "preview failed"):
            self.failures.append(failure)

    @property
    def resources(self) -> int:
        """How many resources of our own there are after the operation."""
        return sum(operation != "delete" for operation in self.touched.values())

    @property
    def changed(self) -> int:
        """How many resources were created, changed, replaced or deleted."""
        return sum(operation in CHANGES for operation in self.touched.values())

    @property
    def failure(self) -> Failure | None:
        """The failure to tell: a resource's own before the program's, which only follows from it."""
        own = [failure for failure in self.failures if failure.what]
        return next(iter(own or self.failures), None)


def sentence(text: str) -> str:
    """A provider's own words out of an engine diagnostic."""
    text = _ESCAPES.sub("", text).strip()
    if "Traceback (most recent call last)" in text:
        return _last_exception(text)
    changed = True
    while changed:
        changed = False
        for wrapping in _WRAPPINGS:
            shorter = wrapping.sub("", text, count=1).strip()
            if shorter and shorter != text:
                text, changed = shorter, True
    text = _PROPERTY.sub(r"\1 ", text, count=1)
    for trailer in _TRAILERS:
        text = trailer.sub("", text).strip() or text
    return text


def name_of(urn: str) -> str:
    """The name in a URN, without the prefix that the program may give all of them; empty for the stack's own."""
    kind, _, name = urn.rpartition("::")
    return "" if not urn or kind.endswith("pulumi:pulumi:Stack") else name


def _last_exception(text: str) -> str:
    lines = [line for line in text.splitlines() if re.match(r"^\w[\w.]*(?:Error|Exception|Exit)?: ", line)]
    last = lines[-1] if lines else text.splitlines()[-1]
    return re.sub(r"^[\w.]+: ", "", last)


def _operation(metadata: StepEventMetadata) -> str:
    operation: Any = metadata.op
    return str(getattr(operation, "value", operation))


def _is_ours(metadata: StepEventMetadata) -> bool:
    state = metadata.new or metadata.old
    custom = bool(state and state.custom)
    return custom and not metadata.type.startswith("pulumi:")
