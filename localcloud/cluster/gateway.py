"""The driver process's own connection to the JVM: makes the Spark context, and opens and closes a session a task.

Each task gets its own ``Py4JServer`` in the JVM, because a server has one way back to Python only: with a shared one
the ``foreachBatch`` callbacks of two tasks would meet in one process. The server's threads inherit the session and the
job tag of the thread that starts it.
"""

import json
import os
import socket
from threading import Lock, Thread
from typing import Any

from py4j.protocol import Py4JError


class _Sessions:
    def __init__(self, port: int, secret: str) -> None:
        self.jvm = connect(port, secret).jvm
        self.conf = self.jvm.org.apache.spark.SparkConf()
        self.root = self.jvm.org.apache.spark.sql.classic.SparkSession.builder().config(self.conf).getOrCreate()
        self.context = self.root.sparkContext()
        self.open_tasks: dict[str, tuple[Any, Any]] = {}

    def ui_url(self) -> str | None:
        url = self.context.uiWebUrl()
        return str(url.get()) if url.isDefined() else None

    def open(self, task_id: str) -> dict[str, Any]:
        session = self.root.newSession()
        self.jvm.org.apache.spark.sql.classic.SparkSession.setActiveSession(session)
        self.context.addJobTag(_tag(task_id))
        server = self.jvm.org.apache.spark.api.python.Py4JServer(self.conf)
        server.start()
        self.open_tasks[task_id] = (session, server)
        return {"event": "opened", "task_id": task_id, "port": server.getListeningPort(), "secret": server.secret()}

    def close(self, task_id: str) -> dict[str, Any]:
        session, server = self.open_tasks.pop(task_id)
        for query in session.streams().active():
            try:
                query.stop()
            except Py4JError as error:  # a query that cannot stop must not keep the others running
                print(f"query of task {task_id} did not stop: {error}", flush=True)
        self.context.cancelJobsWithTag(_tag(task_id))
        server.shutdown()
        return {"event": "closed", "task_id": task_id}


def _tag(task_id: str) -> str:
    return "task-" + task_id.replace(",", "-")


def connect(port: int, secret: str) -> Any:
    """A py4j gateway to a server in the JVM, with PySpark's imports."""
    from pyspark.java_gateway import launch_gateway

    # launch_gateway takes the address of a running server from the environment alone.
    os.environ["PYSPARK_GATEWAY_PORT"] = str(port)
    os.environ["PYSPARK_GATEWAY_SECRET"] = secret
    try:
        return launch_gateway()
    finally:
        del os.environ["PYSPARK_GATEWAY_PORT"], os.environ["PYSPARK_GATEWAY_SECRET"]


def serve(channel: socket.socket, port: int, secret: str) -> None:
    """Answer the host's requests, each in a thread of its own; returns when the channel closes."""
    lock = Lock()

    def tell(message: dict[str, Any]) -> None:
        with lock:
            channel.sendall(json.dumps(message).encode() + b"\n")

    try:
        sessions = _Sessions(port, secret)
    except Exception as error:
        tell({"event": "broken", "reason": f"Spark did not start: {_reason(error)}"})
        return
    tell({"event": "ready", "ui_url": sessions.ui_url()})

    def answer(message: dict[str, Any]) -> None:
        act = sessions.open if message["do"] == "open" else sessions.close
        try:
            tell(act(message["task_id"]))
        except Exception as error:
            # The host takes the end of this process for the loss of the driver, which it is.
            print(f"Spark did not {message['do']} a session: {_reason(error)}", flush=True)
            os._exit(1)

    with channel.makefile("r") as lines:
        for line in lines:
            Thread(target=answer, args=(json.loads(line),), daemon=True).start()


def _reason(error: Exception) -> str:
    from localcloud.cluster.failures import describe

    return describe(error)
