"""The manifest: what `generate` made, counted from the generator's own expressions."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass

from streaming_lab import files
from streaming_lab.layout import Layout

VERSION = 1


@dataclass(frozen=True)
class Source:
    """The counts of one source: all its records, the files they are in, and how many of them are not in order."""

    records: int
    files: int
    malformed: int
    late: int
    duplicates: int


@dataclass(frozen=True)
class Manifest:
    """What was generated, from which seed and at which scale; `id` is new for each generation."""

    id: str
    seed: str
    scale: float
    sources: dict[str, Source]


def new_manifest(seed: str, scale: float, sources: dict[str, Source]) -> Manifest:
    """A manifest of a new generation."""
    return Manifest(str(uuid.uuid4()), seed, scale, sources)


def read_manifest(layout: Layout) -> Manifest | None:
    """The data set's manifest, or None when nothing (or nothing whole) was generated."""
    value = files.read_json(layout.manifest)
    if value is None or value["version"] != VERSION or not value["sources"]:
        return None
    sources = {name: Source(**counts) for name, counts in value["sources"].items()}
    return Manifest(value["id"], value["seed"], value["scale"], sources)


def asked_scale(layout: Layout) -> float | None:
    """The scale that was last asked for, also by a generation that was interrupted; None before the first."""
    value = files.read_json(layout.manifest)
    return None if value is None else float(value["scale"])


def write_manifest(layout: Layout, manifest: Manifest) -> None:
    """Write the manifest, which makes the generation count if it has sources."""
    files.write_json(layout.manifest, {"version": VERSION, **asdict(manifest)})
