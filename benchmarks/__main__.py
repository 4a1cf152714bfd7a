"""`python -m benchmarks [name…]`: measure, print one table, and write all of it as JSON to benchmarks/results/.

The exit code is 0 when everything was measured, also where a limit is missed: the table says so.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import tempfile
import time
import traceback
from dataclasses import asdict
from pathlib import Path

import psutil

from benchmarks import ROOT
from benchmarks.common import FULL, SMALL, Outcome, Row, Sizes, tell

NAMES = ("windows", "event_hubs", "latency", "up", "cycle", "students", "disk")
RESULTS = ROOT / "benchmarks" / "results"


def main() -> int:
    """Run the chosen benchmarks; returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure the lab's speed and memory.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"{', '.join(NAMES)} (default: all)")
    parser.add_argument("--small", action="store_true", help="only see whether they run: tiny sizes, one round")
    given = parser.parse_args()
    if unknown := set(given.names) - set(NAMES):
        parser.error(f"{', '.join(sorted(unknown))}: choose from {', '.join(NAMES)}")
    sizes = SMALL if given.small else FULL
    machine = _machine()
    outcomes: dict[str, Outcome] = {}
    failed: dict[str, str] = {}
    for name in [name for name in NAMES if name in given.names or not given.names]:
        tell(name, "begins")
        try:
            with tempfile.TemporaryDirectory(prefix="lab-", ignore_cleanup_errors=True) as folder:
                outcomes[name] = importlib.import_module(f"benchmarks.{name}").run(sizes, Path(folder))
        except Exception as error:
            traceback.print_exc()
            failed[name] = f"{type(error).__name__}: {error}"
    _print(outcomes, failed, machine, small=given.small)
    print(f"written to {_write(outcomes, failed, machine, sizes).relative_to(ROOT)}")
    return 1 if failed else 0


def _machine() -> dict[str, object]:
    return {
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "python": platform.python_version(),
        # More than the cores have been asked to do: then the numbers say more of the others than of the lab.
        "load_before": os.getloadavg()[0],
        "began": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _print(outcomes: dict[str, Outcome], failed: dict[str, str], machine: dict[str, object], *, small: bool) -> None:
    head = ("benchmark", "what", "median", "against", "ratio", "limit", "")
    lines = [_cells(row) for outcome in outcomes.values() for row in outcome.rows]
    widths = [max(len(line[column]) for line in (head, *lines)) for column in range(len(head))]
    for line in (head, *lines):
        cells = [
            text.ljust(width) if column in (0, 1, 6) else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
    for name, reason in failed.items():
        print(f"{name:<{widths[0]}}  failed: {reason}")
    print(f"{machine['cores']} cores, load {machine['load_before']:.1f} when it began", end="")
    print("; tiny sizes: the numbers mean nothing" if small else "")


def _cells(row: Row) -> tuple[str, ...]:
    limit = "" if row.limit is None else f"{'≥' if row.at_least else '≤'} {row.limit:g}"
    return (
        row.benchmark,
        row.compared,
        _number(row.value, row.unit),
        "" if row.reference is None else _number(row.reference, row.unit),
        "" if row.ratio is None else f"{row.ratio:.2f}",
        limit,
        row.verdict,
    )


def _number(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if value >= 1000 else f"{value:,.2f} {unit}"


def _write(outcomes: dict[str, Outcome], failed: dict[str, str], machine: dict[str, object], sizes: Sizes) -> Path:
    rows = [
        {**asdict(row), "ratio": row.ratio, "holds": row.holds} for outcome in outcomes.values() for row in outcome.rows
    ]
    samples = {name: outcome.samples for name, outcome in outcomes.items()}
    found = {"machine": machine, "sizes": asdict(sizes), "rows": rows, "samples": samples, "failed": failed}
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return file


if __name__ == "__main__":
    sys.exit(main())
