"""Every port that a running lab listens on, tried by another user of the machine, without credentials."""

import json
import os
import socket
import sys
from collections.abc import Callable
from urllib.parse import urlsplit

import grpc
import psutil
import pytest
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

NOBODY = 65534
HTTP = b"GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
# Asks for a Java class, as py4j's clients do, without the secret first.
PY4J = b"r\nu\njava.lang.System\nrj\ne\n"


def listening(process: psutil.Process) -> set[int]:
    connections = process.net_connections(kind="inet")
    return {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}


@pytest.fixture(scope="module")
def ports(lab) -> dict[str, set[int]]:
    """The ports of each part of the lab; a port of any other process is a part of its own."""
    endpoint = lab.endpoint
    known = {
        "Azure Resource Manager": {urlsplit(endpoint["arm"]).port},
        "workspaces": {urlsplit(url).port for url in endpoint["workspaces"].values()},
        "providers": set(endpoint["providers"].values()),
    }
    found: dict[str, set[int]] = {"Spark": set(), "broker": set(), "unknown": set()}
    for process in lab.processes():
        words = process.cmdline()
        if process.pid == endpoint["pid"]:
            found["unknown"] |= listening(process) - set().union(*known.values())
        elif "org.apache.spark.deploy.SparkSubmit" in words:
            found["Spark"] |= listening(process)
        elif "kafka.Kafka" in words:
            found["broker"] |= listening(process)
        else:
            found["unknown"] |= listening(process)
    return known | found


def as_nobody(ask: Callable[[], object]) -> object:
    """What `ask` returns in a process of another user; skips where this user can't become one."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            os.write(write, json.dumps(ask()).encode())
        except BaseException as error:
            print(repr(error), file=sys.stderr)
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    assert answer, "the other user's process failed"
    return json.loads(answer)


def answer_to(port: int, request: bytes) -> str:
    """What a port answers before it closes the connection, or within two seconds."""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        answer = b""
        try:
            connection.sendall(request)
            while chunk := connection.recv(65536):
                answer += chunk
        except OSError:
            pass
    return answer.decode("latin-1")


def test_every_listening_port_is_one_that_is_known(ports):
    assert not ports["unknown"]
    assert {part: len(numbers) for part, numbers in ports.items()} == {
        "Azure Resource Manager": 1,
        "workspaces": 1,
        "providers": 2,
        "Spark": len(("RPC", "block manager", "UI", "py4j")),
        "broker": len(("clients", "administration", "controller")),
        "unknown": 0,
    }


@pytest.mark.parametrize(
    ("part", "path"),
    [
        ("Azure Resource Manager", "/subscriptions"),
        ("workspaces", "/api/2.2/jobs/list"),
        ("workspaces", "/sparkui/CLUSTER/jobs/"),
        ("Spark", "/jobs/"),
        ("Spark", "/api/v1/applications"),
        ("Spark", "/metrics/json/"),
        ("broker", "/"),
    ],
)
def test_no_page_opens_for_another_user(lab, ports, part, path):
    path = path.replace("CLUSTER", lab.outputs()["clusterId"])
    request = HTTP.replace(b"{}", path.encode())
    answers = as_nobody(lambda: {str(port): answer_to(port, request) for port in ports[part]})
    for port, answer in answers.items():
        status = answer.split(" ")[1] if answer.startswith("HTTP/1.1 ") else ""
        assert status in ("", "400", "401", "403"), f"{part}, port {port}: {answer[:200]}"


def test_no_java_object_opens_for_another_user(ports):
    answers = as_nobody(lambda: [answer_to(port, PY4J) for port in ports["Spark"]])
    assert not [answer for answer in answers if answer.startswith("!y")]


def test_no_provider_serves_another_user(ports):
    def configure() -> list[str]:
        refusals = []
        for port in ports["providers"]:
            stub = provider_pb2_grpc.ResourceProviderStub(grpc.insecure_channel(f"127.0.0.1:{port}"))
            try:
                stub.Configure(provider_pb2.ConfigureRequest(), timeout=20)
            except grpc.RpcError as error:
                refusals.append(error.details())
        return refusals

    refusals = as_nobody(configure)
    assert len(refusals) == len(ports["providers"])
    assert all("another user's" in refusal for refusal in refusals)
