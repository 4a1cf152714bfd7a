"""Task `verify`: the ledgers of the exercises, and an error when one of them does not balance."""

import argparse
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pyspark import inheritable_thread_target

from streaming_lab import files, measure
from streaming_lab.arguments import layout_of, task_parser
from streaming_lab.connection import from_secret
from streaming_lab.hub_runs import Listener
from streaming_lab.layout import Layout
from streaming_lab.ledger import Ledger
from streaming_lab.manifest import Manifest, read_manifest
from streaming_lab.result import print_result
from streaming_lab.session import session

EXERCISES = ("concepts", "windows", "event_hubs")
_TERMS = ("sent", "stored", "quarantined", "duplicates", "late", "open", "remainder")


def main() -> None:
    """Measure, print the ledger and its machine-readable line, and fail when it does not balance."""
    parser = task_parser("verify", "prove the numbers of the exercises")
    parser.add_argument("--exercises", type=_exercises, default=list(EXERCISES), help="names with commas between")
    parser.add_argument("--scope", default="", help="secret scope with the Listen connection string, for event_hubs")
    parser.add_argument("--consumer-group", default="", help="consumer group, for event_hubs")
    arguments = parser.parse_args()
    if "event_hubs" in arguments.exercises and not (arguments.scope and arguments.consumer_group):
        parser.error("exercise event_hubs needs --scope and --consumer-group")
    spark, layout = session(), layout_of(arguments)
    manifest = read_manifest(layout)
    if manifest is None:
        raise SystemExit(f"there is no manifest in {layout.inputs}: run the exercises first")

    before = _saved(layout, manifest)
    listen = from_secret(arguments.scope, "event-hubs-listen") if "event_hubs" in arguments.exercises else ""
    listener = Listener(listen, arguments.consumer_group)

    def ledger(name: str) -> Ledger:
        if name == "concepts":
            return measure.concepts_ledger(spark, layout, manifest)
        if name == "windows":
            return measure.windows_ledger(spark, layout, manifest)
        return measure.event_hubs_ledger(spark, layout, manifest, listener, earlier=before.get(name))

    # Side by side: each is many short Spark jobs, and much of their time is planning.
    with ThreadPoolExecutor(len(EXERCISES)) as pool:
        # Each thread has a copy of this one's properties, such as the job group by which a run is cancelled.
        measured = [pool.submit(inheritable_thread_target(spark)(ledger), name) for name in arguments.exercises]
    ledgers = [one.result() for one in measured]
    save(layout, manifest, before, ledgers)
    report(ledgers)


def report(ledgers: list[Ledger]) -> None:
    """Print the ledgers as a table and as the result line; SystemExit with one sentence where one does not balance."""
    print(text(ledgers))
    problems = [f"{ledger.name}: {problem}" for ledger in ledgers for problem in ledger.problems]
    result = {"ok": not problems, "exercises": [ledger.as_dict() for ledger in ledgers]}
    print_result(result)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise SystemExit(f"The ledger does not balance: {problems[0]}{more}")


def text(ledgers: list[Ledger]) -> str:
    """The ledgers as a table, with what is wrong below it."""
    rows = [["exercise", *_TERMS]]
    rows += [[ledger.name, *(f"{getattr(ledger, term):,}" for term in _TERMS)] for ledger in ledgers]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(v.rjust(w) for v, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    below = (f"{ledger.name}: {said}" for ledger in ledgers for said in (*ledger.notes, *ledger.problems))
    return "\n".join([*lines, *below])


def save(layout: Layout, manifest: Manifest, before: dict[str, Any], ledgers: list[Ledger]) -> None:
    """Keep the ledgers beside the tables; an exercise that was not measured now keeps its ledger from before."""
    entries = before | {ledger.name: ledger.as_dict() for ledger in ledgers}
    exercises = [entries[name] for name in EXERCISES if name in entries]
    ok = not any(entry.get("problems") for entry in exercises)
    files.make_folder(layout.ledgers)
    files.write_json(layout.ledger, {"manifest": manifest.id, "ok": ok, "exercises": exercises})


def _saved(layout: Layout, manifest: Manifest) -> dict[str, Any]:
    """The exercises of the saved ledger by name; empty when it is of other data."""
    saved = files.read_json(layout.ledger)
    if saved is None or saved["manifest"] != manifest.id:
        return {}
    return {entry["name"]: entry for entry in saved["exercises"]}


def _exercises(names: str) -> list[str]:
    """The exercises named, in the order of the lab."""
    asked = {name.strip() for name in names.split(",")}
    unknown = sorted(asked - set(EXERCISES))
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not one of {', '.join(EXERCISES)}")
    return [name for name in EXERCISES if name in asked]
