"""What the command says when it can't do what was asked."""

from collections.abc import Iterator
from contextlib import contextmanager


class LabError(Exception):
    """One clear sentence about what failed, and what to do next.

    what: the thing that failed, in a word or two (a resource, a config key, a command)
    message: the sentence
    advice: what to do next; may be empty
    code: the process's exit code
    detail: the whole text behind the sentence, shown with --debug
    """

    def __init__(self, what: str, message: str, advice: str = "", *, code: int = 1, detail: str = ""):
        super().__init__(f"{what}: {message}")
        self.what = what
        self.message = message
        self.advice = advice
        self.code = code
        self.detail = detail


class Interrupted(LabError):
    """Ctrl-C: what is left and how to go on."""

    def __init__(self, what: str, message: str, advice: str = ""):
        super().__init__(what, message, advice, code=130)


@contextmanager
def set_up() -> Iterator[None]:
    """Say what is missing where the block looks for a tool that set-up has not provided."""
    import toolchain

    try:
        yield
    except toolchain.ToolMissing as missing:
        message, _, advice = str(missing).partition(". ")
        raise LabError("set-up", message, advice) from None
