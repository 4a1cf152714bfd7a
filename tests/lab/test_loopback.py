"""A proxy of the user's is never asked for what is on this machine."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

import grpc
import pytest
import requests

from lab import clouds
from lab.loopback import past_proxies


@pytest.fixture
def dead_proxy(monkeypatch):
    """An environment whose proxies answer nobody."""
    for scheme in ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy"):
        for name in (scheme, scheme.upper()):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")


class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_the_local_cloud_is_reached_over_http_past_a_dead_proxy(project, dead_proxy):
    clouds.choose("local", project)
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert requests.get(f"http://127.0.0.1:{server.server_port}/", timeout=10).status_code == 204


def test_the_engine_is_reached_over_grpc_past_a_dead_proxy(project, dead_proxy):
    clouds.choose("local", project)
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        grpc.channel_ready_future(channel).result(timeout=10)
    server.stop(0)


def test_azure_is_reached_as_the_user_says(project, dead_proxy):
    clouds.choose("azure", project)
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == ""


@pytest.mark.parametrize(
    ("given", "no_proxy", "NO_PROXY"),
    [
        ({}, "127.0.0.1,localhost", "127.0.0.1,localhost"),
        ({"NO_PROXY": "a.example, b"}, "a.example,b,127.0.0.1,localhost", "a.example,b,127.0.0.1,localhost"),
        ({"no_proxy": "x", "NO_PROXY": "localhost"}, "x,127.0.0.1,localhost", "localhost,127.0.0.1"),
        ({"no_proxy": "*"}, "*", "*"),
    ],
)
def test_what_the_user_excepted_stays_excepted(given, no_proxy, NO_PROXY):
    assert past_proxies(given) == {"no_proxy": no_proxy, "NO_PROXY": NO_PROXY}
