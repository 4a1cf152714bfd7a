"""A folder for temporary files of this process and all that it starts."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def folder(path: Path) -> Iterator[None]:
    """Make the folder, empty, and use it inside the block.

    Killed processes leave files behind, JVMs some megabytes each, which nobody else would delete.
    """
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700)
    before, variable = tempfile.tempdir, os.environ.get("TMPDIR")
    tempfile.tempdir = os.environ["TMPDIR"] = str(path)
    try:
        yield
    finally:
        tempfile.tempdir = before
        if variable is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = variable
        shutil.rmtree(path, ignore_errors=True)
