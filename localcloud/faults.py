"""Faults of the local cloud itself: what is told of them, and what its log says."""

import logging
import sqlite3

_log = logging.getLogger(__name__)


def explain(what: str, error: Exception) -> str:
    """A sentence for who asked. what: the request or work that failed.

    A full disk, or a folder that can't be written to, is something that they can mend. Of anything else the place goes
    to the log. The text of the exception may hold a value of the program, a secret even, so only its type is told.
    """
    if isinstance(error, OSError | sqlite3.Error):
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return f"the local cloud can't write its state: {reason}"
    name = type(error).__name__
    _log.error("fault in %s: %s", what, name, exc_info=(Exception, Exception(name), error.__traceback__))
    return f"the local cloud failed ({name}); its log says where"
