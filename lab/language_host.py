"""Pulumi's language host for Python, for a plain `pulumi up` where the CLI came without one.

The engine starts it by the name `pulumi-language-python`, reads the port from the first line of its output, and calls
Run with the program's directory. It serves what the Automation API serves for an inline program; the program is
`__main__.py`. Source: pulumi/pulumi, proto/pulumi/language.proto.
"""

from __future__ import annotations

import runpy
import signal
import sys
import threading
from concurrent import futures
from pathlib import Path

import grpc
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

# Stacks of some hundred resources do not fit gRPC's default of 4 MB; the same bound as Pulumi's own hosts.
MESSAGE_BYTES = 400 * 1024 * 1024


class ProgramHost(LanguageServer):
    """Runs `__main__.py` of the engine's program directory in this process."""

    def __init__(self, engine: str) -> None:
        """Serve for the engine at this address ("host:port")."""
        super().__init__(lambda: None)
        self._engine = engine

    def Handshake(self, request, context):
        """Take part in the engine's start; newer engines give their address here."""
        self._engine = request.engine_address or self._engine
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request, context):
        """Tell the host's version."""
        return plugin_pb2.PluginInfo(version="1.0.0")

    def InstallDependencies(self, request, context):
        """Yield nothing: set-up has installed what requirements.txt locks."""
        yield from ()

    def RuntimeOptionsPrompts(self, request, context):
        """Ask nothing."""
        return language_pb2.RuntimeOptionsResponse()

    def Run(self, request, context):
        """Run the program once, for a preview or an update."""
        folder = Path(request.info.program_directory or request.pwd or ".").resolve()
        sys.path.insert(0, str(folder))
        self.program = lambda: runpy.run_path(str(folder / "__main__.py"), run_name="__main__")
        del request.args[:]
        request.args.append(self._engine)
        return super().Run(request, context)


def main() -> None:
    """Serve until the engine says goodbye (SIGINT, SIGTERM)."""
    addresses = [word for word in sys.argv[1:] if not word.startswith("-")]
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=4),
        options=[("grpc.max_receive_message_length", MESSAGE_BYTES), ("grpc.max_send_message_length", MESSAGE_BYTES)],
    )
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(ProgramHost(addresses[0] if addresses else ""), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    leave = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: leave.set())
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    leave.wait()
    server.stop(grace=1).wait()


if __name__ == "__main__":
    main()
