"""`pulumi-language-python` for a Pulumi CLI that came without it: runs `__main__.py` for plain `pulumi up`.

The CLI starts it with the engine's address as the last argument and reads the port from its first line of output.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2


class Host(LanguageServer):
    """The Automation API's language server, for the program in a folder instead of an inline one."""

    def __init__(self, engine_address: str):
        super().__init__(lambda: None)
        self._engine_address = engine_address

    def Handshake(self, request: Any, context: Any) -> Any:
        """Accept whichever engine calls."""
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        """The host's version."""
        return plugin_pb2.PluginInfo(version="1.0.0")

    def InstallDependencies(self, request: Any, context: Any) -> Any:
        """Nothing to install: set-up has done it."""
        yield from ()

    def GetProgramDependencies(self, request: Any, context: Any) -> Any:
        """The program's dependencies are not told."""
        return language_pb2.GetProgramDependenciesResponse()

    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> Any:
        """No questions."""
        return language_pb2.RuntimeOptionsResponse()

    def Cancel(self, request: Any, context: Any) -> Any:
        """The engine ends this process after it."""
        return empty_pb2.Empty()

    def Run(self, request: Any, context: Any) -> Any:
        """Run the program once."""
        folder = Path(request.info.program_directory or request.pwd)
        main = folder / (request.info.entry_point if request.info.entry_point not in ("", ".") else "__main__.py")
        sys.path.insert(0, str(folder))
        os.chdir(folder)

        def program() -> None:
            runpy.run_path(str(main), run_name="__main__")

        self.program = program
        del request.args[:]
        request.args.append(self._engine_address)
        return super().Run(request, context)  # type: ignore[no-untyped-call]


def main() -> None:
    """Serve until the engine ends this process."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(Host(sys.argv[-1]), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    server.stop(0)


if __name__ == "__main__":
    main()
