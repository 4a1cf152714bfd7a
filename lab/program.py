"""The Pulumi program of the project, run in this process."""

from __future__ import annotations

import contextlib
import gc
import runpy
import sys
import threading
from functools import cache
from importlib import import_module
from pathlib import Path


@cache
def preload(root: Path) -> threading.Thread:
    """Begin the program's slow imports (5 to 8 s), so that they run while the cloud and the engine start.

    Returns the thread that ends when the program can run; the client for what comes after it is imported meanwhile.
    """
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))

    def load() -> None:
        # Half a million objects are made, all to stay: looking for garbage among them costs a third of the time.
        gc.disable()
        # What is wrong with an import, the program itself says when it tries again.
        with contextlib.suppress(Exception):
            import_module("pulumi_azure_native")
            import_module("pulumi_databricks")
        threading.Thread(target=load_client, daemon=True).start()

    def load_client() -> None:
        with contextlib.suppress(Exception):
            import_module("databricks.sdk")
        gc.freeze()
        gc.enable()

    loading = threading.Thread(target=load, daemon=True)
    loading.start()
    return loading


def run_program(root: Path) -> None:
    """`__main__.py` as an inline program.

    It waits for the imports under way: the SDKs' lazy imports do not bear two threads at once.
    """
    preload(root).join()
    runpy.run_path(str(root / "__main__.py"), run_name="__main__")
