"""HTTP servers in threads of the background process."""

import socket
import threading
from typing import Any

import uvicorn

_HOST = "127.0.0.1"


class WebServer:
    """An ASGI application on a loopback port.

    port: the port to use again; 0, or one that is taken, gives a free one.
    """

    def __init__(self, app: Any, port: int = 0) -> None:
        self._socket = _bind(port)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app, log_config=None, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=2
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name=f"http-{self.port}", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://{_HOST}:{self.port}"

    def stop(self) -> None:
        """Answer what was asked already, then close the port."""
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()


def _bind(port: int) -> socket.socket:
    listener = socket.socket()
    # Connections of the process before, still in TIME_WAIT, must not cost the port.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_HOST, port))
    except OSError:
        if port == 0:
            raise
        listener.bind((_HOST, 0))
    # From here on a client may connect, even before the event loop runs.
    listener.listen(128)
    return listener
