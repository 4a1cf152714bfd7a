"""The client of the resource manager, against a server that answers as Azure does."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lab.arm import Arm
from lab.errors import LabError


@pytest.fixture
def azure():
    """A server with a list of answers: (status, headers, body) for each request in turn; keeps the requests."""
    answers, requests = [], []

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            requests.append((self.command, self.path, self.headers["Authorization"]))
            status, headers, body = answers.pop(0)
            self.send_response(status)
            content = json.dumps(body).encode()
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_DELETE = answer

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    arm = Arm(f"http://127.0.0.1:{server.server_port}", "s", lambda: "t", poll_seconds=0)
    arm.answers, arm.requests = answers, requests
    yield arm
    server.shutdown()
    server.server_close()


def test_lists_are_read_page_by_page_with_the_token(azure):
    more = f"{str(azure._http.base_url).rstrip('/')}/subscriptions/s/resourcegroups?page=2"
    azure.answers += [(200, {}, {"value": [{"name": "a"}], "nextLink": more}), (200, {}, {"value": [{"name": "b"}]})]
    assert [group["name"] for group in azure.groups()] == ["a", "b"]
    assert {token for _, _, token in azure.requests} == {"Bearer t"}


def test_throttling_is_waited_out(azure):
    azure.answers += [(429, {"Retry-After": "0"}, {}), (200, {}, {})]
    assert azure.exists("/subscriptions/s/resourceGroups/rg")


def test_each_provider_is_asked_with_a_version_of_its_own(azure):
    azure.answers.append((404, {}, {}))
    assert not azure.exists("/subscriptions/s/resourceGroups/rg/providers/Microsoft.EventHub/namespaces/ns")
    assert azure.requests[0][1].endswith("?api-version=2024-01-01")


def test_a_group_is_deleted_when_the_cloud_no_longer_shows_it(azure):
    azure.answers += [(202, {}, {}), (200, {}, {}), (404, {}, {})]
    assert azure.delete_group("rg")
    assert [method for method, _, _ in azure.requests] == ["DELETE", "GET", "GET"]
    azure.answers.append((404, {}, {}))
    assert not azure.delete_group("rg")


def test_a_deletion_that_does_not_end_says_to_come_back(azure):
    azure.answers += [(202, {}, {}), (200, {}, {}), (200, {}, {})]
    with pytest.raises(LabError, match="rg: its deletion has not ended yet"):
        azure.delete_group("rg", timeout=0)


def test_a_refusal_is_told_in_the_clouds_words(azure):
    azure.answers.append((403, {}, {"error": {"code": "AuthorizationFailed", "message": "No right to list."}}))
    with pytest.raises(LabError, match=r"azure: No right to list\. \(AuthorizationFailed\)"):
        azure.groups()


def test_a_subscription_that_is_not_found_is_no_empty_one(azure):
    azure.answers.append((404, {}, {"error": {"code": "SubscriptionNotFound", "message": "There is no s."}}))
    with pytest.raises(LabError, match="SubscriptionNotFound"):
        azure.groups()
