"""The arguments that tasks share: `--name=value`, and one clear sentence for a wrong one."""

from __future__ import annotations

import argparse
import math
import re
from typing import NoReturn

from streaming_lab.layout import DATASETS, Layout

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


class TaskParser(argparse.ArgumentParser):
    """A parser that fails with one sentence and no usage text, as the cluster shows the last line of a failed task."""

    def error(self, message: str) -> NoReturn:
        """End the task with a sentence that names the wrong argument; who shows it names the task."""
        raise SystemExit(message)


def task_parser(task: str, purpose: str, *, streaming: bool = False) -> TaskParser:
    """A parser with the arguments of every task; a streaming task also has `--control` and `--continuous`."""
    parser = TaskParser(prog=task, description=purpose, allow_abbrev=False)
    parser.add_argument("--root", type=storage_url, required=True, help="URL of the lab's container")
    parser.add_argument("--dataset", choices=DATASETS, default="exercises", help="data set below the root")
    if streaming:
        parser.add_argument("--control", default="", help="workspace folder for progress and stop requests")
        parser.add_argument("--continuous", action="store_true", help="go on until stopped")
    return parser


def layout_of(arguments: argparse.Namespace) -> Layout:
    """The layout that `--root` and `--dataset` name."""
    return Layout(arguments.root, arguments.dataset)


def storage_url(text: str) -> str:
    """A URL such as `abfss://lab@account.dfs.core.windows.net`, without a final slash."""
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*:/\S+", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a URL such as abfss://CONTAINER@ACCOUNT.dfs.core.windows.net"
        )
    return text.rstrip("/")


def positive_number(text: str) -> float:
    """A finite number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def duration(text: str) -> str:
    """A length of time such as `15 minutes`, in words that Spark's `window` understands."""
    match = re.fullmatch(r"\s*([1-9]\d{0,5})\s*(second|minute|hour|day)s?\s*", text.lower())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a length of time such as '15 minutes' or '1 hour'")
    number, unit = int(match[1]), match[2]
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def seconds(length: str) -> int:
    """The seconds in a length of time as `duration` returns it."""
    number, unit = length.split()
    return int(number) * SECONDS[unit.removesuffix("s")]
