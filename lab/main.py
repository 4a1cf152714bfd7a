"""The `lab` command. Each command parses, calls one function that knows no terminal, and prints what it returned.

Everything slow is imported inside the commands: `lab --help` answers at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lab.errors import Interrupted, LabError
from lab.screen import Screen

if TYPE_CHECKING:
    from lab.clouds import Cloud
    from lab.project import Project
    from lab.runs import Workspace

INTERRUPTED = 130

app = typer.Typer(
    help="A complete streaming lab (Event Hubs, storage, Databricks) for one student, on this machine or on Azure.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

CloudOption = Annotated[Literal["local", "azure"], typer.Option("--cloud", help="Where the lab is.")]
StudentOption = Annotated[str, typer.Option("--student", metavar="ID", help="Whose lab it is; the stack's name.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Show each step.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="On Azure: delete without asking.")]


@dataclass
class Session:
    """What every command starts from."""

    project: Project
    cloud: Cloud
    student: str
    screen: Screen

    def workspace(self) -> Workspace:
        """The student's workspace; refuses when there is no lab yet."""
        from lab.overview import workspace_of

        return workspace_of(self.project, self.cloud, self.student, self.screen)


def _session(cloud: str, student: str, as_json: bool, verbose: bool) -> Session:
    from lab import clouds, project

    found = project.find()
    project.check_student(student)
    return Session(found, clouds.choose(cloud, found), student, Screen(as_json=as_json, verbose=verbose))


@app.command()
def up(
    *,
    config: Annotated[
        list[str] | None, typer.Option("--config", "-c", metavar="KEY=VALUE", help="Set a config key, now and later.")
    ] = None,
    latencies: Annotated[
        float | None,
        typer.Option(min=0, max=10, help="Local cloud: take so many times as long as Azure from now on; 0: no time."),
    ] = None,
    cloud: CloudOption = "local",
    student: StudentOption = "dev",
    as_json: JsonOption = False,
    debug: DebugOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Make the lab, or bring it up to date."""
    session = _session(cloud, student, as_json, verbose)
    with session.screen.working("up") as watch:
        from lab import lifecycle

        done = lifecycle.up(session.project, session.cloud, student, config or [], session.screen, latencies=latencies)
    session.screen.line(
        "up", f"{done.resources} resources on {session.cloud.title}, {done.changed} changed", watch.seconds
    )
    session.screen.json({"resources": done.resources, "changed": done.changed, "outputs": done.outputs})


@app.command("run")
def run_exercises(
    exercise: Annotated[
        list[str] | None, typer.Argument(help="concepts, windows, event_hubs (default: all), or live.")
    ] = None,
    *,
    scale: Annotated[float | None, typer.Option(min=0.001, help="Multiply the amount of data.")] = None,
    size: Annotated[str | None, typer.Option(help="Exercise 2: how long a window is (1 hour).")] = None,
    slide: Annotated[str | None, typer.Option(help="Exercise 2: time between sliding windows (15 minutes).")] = None,
    watermark: Annotated[str | None, typer.Option(help="Exercise 2: how late an event may be (2 hours).")] = None,
    cloud: CloudOption = "local",
    student: StudentOption = "dev",
    as_json: JsonOption = False,
    debug: DebugOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Run the exercises and print the ledger."""
    from lab import exercises

    session = _session(cloud, student, as_json, verbose)
    names = exercise or []
    if "live" in names and len(names) > 1:
        raise LabError("run", "live runs by itself, without other exercises", code=2)
    chosen = [] if names == ["live"] else exercises.chosen(names, ", or live")
    given = exercises.settings(scale, size, slide, watermark)
    if given and not chosen:
        raise LabError("run", f"live takes no --{next(iter(given))}", code=2)
    with session.screen.working("run") as watch:
        workspace = session.workspace()
        if not chosen:
            exercises.live(workspace, session.screen)
        else:
            outcome = exercises.run(workspace, chosen, given, session.screen)
    if not chosen:
        session.screen.json({"live": "stopped"})
        session.screen.line("live", "stopped", watch.seconds)
        return
    link = f"Spark UI {outcome.spark_ui}" if outcome.spark_ui else ""
    session.screen.line("run", f"{'  '.join(map(str, outcome.tasks)):<75}{link}", watch.seconds)
    session.screen.json({**outcome.ledger, "spark_ui": outcome.spark_ui})
    _print_ledger(session.screen, outcome.ledger)
    session.screen.line("next", "lab show windows · lab streams · lab verify · lab down")


@app.command()
def verify(
    exercise: Annotated[list[str] | None, typer.Argument(help="concepts, windows, event_hubs (default: all).")] = None,
    *,
    cloud: CloudOption = "local",
    student: StudentOption = "dev",
    as_json: JsonOption = False,
    debug: DebugOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Prove the numbers: measure every term of the ledger anew."""
    from lab import exercises

    session = _session(cloud, student, as_json, verbose)
    chosen = exercises.chosen(exercise or [])
    with session.screen.working("verify") as watch:
        ledger = exercises.verify(session.workspace(), chosen, session.screen)
    session.screen.json(ledger)
    session.screen.line(
        "verify", "every record is accounted for" if ledger["ok"] else "the numbers differ", watch.seconds
    )
    _print_ledger(session.screen, ledger)


@app.command()
def streams(
    *,
    cloud: CloudOption = "local",
    student: StudentOption = "dev",
    as_json: JsonOption = False,
    debug: DebugOption = False,
    verbose: VerboseOption = False,
) -> None:
    """List the active streaming queries."""
    session = _session(cloud, student, as_json, verbose)
    with session.screen.working("streams") as watch:
        active = list(session.workspace().streams())
    session.screen.json({"streams": active})
    header = ("query", "dataset", "batch", "rows/s", "watermark", "dropped", "doing")
    rows = [
        (
            query["name"],
            query["dataset"],
            query.get("batch"),
            round(float(query.get("rows_per_second") or 0)),
            query.get("watermark"),
            query.get("dropped"),
            query.get("message", ""),
        )
        for query in active
    ]
    if rows:
        session.screen.table("streams", header, rows)
    else:
        session.screen.line("streams", "no query is active", watch.seconds)


@app.command()
def stop(
    query: Annotated[list[str] | None, typer.Argument(help="Names of queries (see lab streams); default: all.")] = None,
    *,
    cloud: CloudOption = "local",
    student: StudentOption = "dev",
    as_json: JsonOption = False,
    debug: DebugOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Stop queries (default: all, and the runs) after their batch."""
    from lab import streams as control

    session = _session(cloud, student, as_json, verbose)
    with session.screen.working("stop") as watch:
        stopped = control.stop(session.workspace(), query or [], session.screen)
    session.screen.json({"stopped": stopped})
    session.screen.line("stop", "  ".join(stopped) if stopped else "no query was active", watch.seconds)


@app.command()
def show(
    table: Annotated[str, typer.Argument(help="A table's name, or an exercise's.")],
    *,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many rows.")] = 20,
    cloud: CloudOption = "local",
    student: StudentOption = "dev",
    as_json: JsonOption = False,
    debug: DebugOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show rows of a table."""
    from lab import exercises

    session = _session(cloud, student, as_json, verbose)
    name = exercises.table_of(table)
    with session.screen.working("show") as watch:
        shown = exercises.show(session.workspace(), name, limit, session.screen)
    session.screen.json(shown)
    session.screen.line("show", f"{len(shown['rows']):,} of {shown['total']:,} rows of {shown['table']}", watch.seconds)
    session.screen.table("", shown["columns"], shown["rows"])


@app.command()
def status(
    *,
    cloud: CloudOption = "local",
    student: StudentOption = "dev",
    as_json: JsonOption = False,
    debug: DebugOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Tell what there is: resources, cluster, last runs."""
    from datetime import datetime

    from lab.overview import overview

    session = _session(cloud, student, as_json, verbose)
    with session.screen.working("status") as watch:
        told = overview(session.project, session.cloud, student, session.screen)
    session.screen.json(told)
    if not told["recorded"] and not told["resources"]:
        session.screen.line("status", f"student {student} has nothing on {session.cloud.title}", watch.seconds)
        return
    text = f"{told['recorded']} resources on {session.cloud.title}"
    session.screen.line("status", text if told["up"] else f"{text}, not complete: run lab up", watch.seconds)
    if told["disk_bytes"] is not None:
        session.screen.line("disk", f"{told['disk_bytes'] / 1e6:,.0f} MB in {session.project.state}")
    if told["cluster"]:
        session.screen.line("cluster", f"{told['cluster']['id']} {told['cluster']['state'].lower()}")
    rows = [
        (
            run["job"],
            str(run["run_id"]),
            run["state"],
            datetime.fromtimestamp((run["started_ms"] or 0) / 1000).isoformat(" ", "seconds"),
        )
        for run in told["runs"]
    ]
    if rows:
        session.screen.table("runs", ("job", "run", "state", "started"), rows)


@app.command()
def down(
    *,
    keep_data: Annotated[bool, typer.Option("--keep-data", help="Move the data out of the local cloud first.")] = False,
    yes: YesOption = False,
    cloud: CloudOption = "local",
    student: StudentOption = "dev",
    as_json: JsonOption = False,
    debug: DebugOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Delete everything and prove that nothing is left."""
    from lab import kept

    session = _session(cloud, student, as_json, verbose)
    if keep_data:
        kept.storage_of(session.cloud)  # refuses before anything is asked
    if cloud == "azure" and not yes:
        _confirm(student)
    with session.screen.working("down") as watch:
        from lab import lifecycle

        done = lifecycle.down(session.project, session.cloud, student, keep_data=keep_data, report=session.screen)
    session.screen.json({"leftovers": [*done.leftovers, *done.unreachable]})
    if done.unreachable:
        advice = (
            "Everything else is deleted. From another workspace of the region, run databricks external-locations "
            "delete NAME --force and databricks storage-credentials delete NAME --force; an account admin deletes the "
            "user."
        )
        raise LabError("down", f"the workspace was gone, so these may remain: {', '.join(done.unreachable)}", advice)
    if done.leftovers:
        listed = "\n".join(done.leftovers)
        advice = f"{listed}\nRun lab down again in a minute; a group without the lab's tags is for you to delete."
        raise LabError("down", f"{len(done.leftovers)} things are still there", advice)
    ended = "; the local cloud is stopped" if done.stopped else ""
    session.screen.line("down", f"{done.deleted} resources deleted, nothing is left{ended}", watch.seconds)
    if keep_data:
        session.screen.line("kept", str(done.kept or "nothing: there was no data to keep"))


@app.command()
def env(
    *,
    cloud: CloudOption = "local",
    student: StudentOption = "dev",
    as_json: JsonOption = False,
    debug: DebugOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Set up a shell for plain pulumi: eval "$(lab env)"."""
    from lab import shell
    from lab.report import Aside

    session = _session(cloud, student, as_json, verbose)
    variables = shell.exports(session.project, session.cloud, student, Aside())
    session.screen.json(variables)
    if not as_json:
        print("\n".join(shell.lines(variables)))


def _print_ledger(screen: Screen, ledger: dict[str, Any]) -> None:
    """The ledger's table; raises LabError with the first difference when it is not ok."""
    from lab.exercises import problems

    terms = ("sent", "stored", "quarantined", "duplicates", "late", "open", "remainder")
    rows = [(one["name"], *(one.get(term) for term in terms)) for one in ledger["exercises"]]
    if rows:
        screen.table("ledger", ("exercise", *terms), rows)
    if not ledger["ok"]:
        found = problems(ledger) or ["the ledger is not ok"]
        raise LabError(
            "verify", found[0], "\n".join([*found[1:], "Run lab run again, or lab show TABLE to look around."])
        )


def _confirm(student: str) -> None:
    if not sys.stdin.isatty():
        raise LabError(
            "down", "it deletes everything of this student on Azure", "Say --yes to do it without a question.", code=2
        )
    if not typer.confirm(f"Delete everything of student {student} on Azure?", err=True):
        raise Interrupted("down", "nothing was deleted")


def main(arguments: list[str]) -> int:
    """Run the command with these arguments; returns the exit code: 1 for failures, 2 for usage, 130 for Ctrl-C."""
    from typer import exceptions

    screen = Screen()
    try:
        returned = app(arguments or ["--help"], prog_name="lab", standalone_mode=False)
    except exceptions.TyperException as error:
        context = getattr(error, "ctx", None)
        screen.error("usage", error.format_message(), f"See {context.command_path if context else 'lab'} --help.")
        return 2
    except (KeyboardInterrupt, exceptions.Abort):
        returned = INTERRUPTED
    except Exception as error:
        told = _told(error)
        if "--debug" in arguments:
            if told.detail:
                print(told.detail, file=sys.stderr)
            traceback.print_exception(error)
        screen.error(told.what, told.message, told.advice)
        return told.code
    # typer too makes a KeyboardInterrupt this code.
    if returned == INTERRUPTED:
        screen.error(
            "interrupted", "the command stopped half-way", "Run the same command again: it goes on from there."
        )
    return returned if isinstance(returned, int) else 0


def _told(error: Exception) -> LabError:
    """The sentence for a failure; a full disk is named whatever failed of it."""
    from lab.project import find, full

    told = error if isinstance(error, LabError) else _unforeseen(error)
    with contextlib.suppress(LabError, OSError):
        state = find().state
        if told.code == 1 and told.what != "disk" and full(state):
            return LabError(
                "disk",
                f"no space is left for {state} ({told.what}: {told.message})",
                "Free some space, then run the same command again.",
                detail=told.detail,
            )
    return told


def _unforeseen(error: Exception) -> LabError:
    """The sentence for what no function foresaw: a refusal of the operating system or the workspace, our own faults."""
    from lab.project import NO_SPACE, unwritable

    if isinstance(error, OSError) and (error.filename is not None or error.errno in NO_SPACE):
        return unwritable(error)
    if isinstance(error, TimeoutError) or type(error).__module__.startswith("requests."):
        return LabError("workspace", "it does not answer", "Run lab up, which starts what is missing, then try again.")
    if type(error).__module__.startswith("databricks.sdk"):
        message = str(next(filter(None, error.args), type(error).__name__)).splitlines()[0]
        return LabError("workspace", message, "Run lab status to see what there is, then try again.")
    return LabError("internal", f"{type(error).__name__}: {error}", "Run it again with --debug and report its output.")


def run() -> None:
    """Entry point. A polite request to end (SIGTERM) is as clean as Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # The state folder holds keys and data of the student's: nobody else reads what the command and Pulumi write.
    os.umask(0o077)
    code = main(sys.argv[1:])
    sys.stdout.flush()
    # Taking the SDKs' modules apart at the end costs a second and frees nothing that the system would not free.
    os._exit(code)
