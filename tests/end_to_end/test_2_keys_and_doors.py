"""Keys open what they are for and nothing else, tried with the clients that anybody would use."""

import base64
import json
import urllib.error
import urllib.request

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import Unauthenticated


@pytest.fixture(scope="module")
def second_student(lab):
    lab("up", "--student", "ada")
    yield "ada"
    lab("down", "--student", "ada")


@pytest.fixture(scope="module")
def connection(lab):
    """A student's connection string by the name of its secret, taken apart."""

    def read(key: str, student: str = "dev") -> dict[str, str]:
        client, outputs = lab.workspace(student), lab.outputs(student)
        value = base64.b64decode(client.secrets.get_secret(outputs["secretScope"], key).value).decode()
        return dict(part.split("=", 1) for part in value.split(";"))

    return read


def kafka(connection: dict[str, str], **changes) -> dict:
    return {
        "bootstrap.servers": connection["Endpoint"].removeprefix("sb://").rstrip("/"),
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": connection["SaslMechanism"],
        "sasl.username": f"{connection['EntityPath']}/{connection['SharedAccessKeyName']}",
        "sasl.password": connection["SharedAccessKey"],
        "log_level": 0,
        **changes,
    }


def send(options: dict, hub: str) -> str | None:
    """Try to send one message: the error's name, or None when it was accepted."""
    outcome: list[str | None] = []
    failures: list[str] = []
    producer = Producer(
        {**options, "message.timeout.ms": 15000, "error_cb": lambda error: failures.append(error.name())}
    )
    producer.produce(hub, b"{}", callback=lambda error, _: outcome.append(error.name() if error else None))
    producer.flush(20)
    return failures[0] if failures and outcome != [None] else outcome[0]


def read(options: dict, hub: str, group: str = "lab-test") -> str | None:
    """Try to read one message: the error's name, or None when one arrived."""
    failures: list[str] = []
    consumer = Consumer(
        {
            **options,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "error_cb": lambda error: failures.append(error.name()),
        }
    )
    try:
        consumer.subscribe([hub])
        for _ in range(20):
            message = consumer.poll(1)
            if message is not None:
                return message.error().name() if message.error() else None
            if failures:
                return failures[0]
    except KafkaException as error:
        return error.args[0].name()
    finally:
        consumer.close()
    return "nothing arrived"


def test_a_listen_key_reads_and_cannot_send(connection):
    listen = connection("event-hubs-listen")
    assert read(kafka(listen), listen["EntityPath"]) is None
    assert send(kafka(listen), listen["EntityPath"]) == "TOPIC_AUTHORIZATION_FAILED"


def test_a_send_key_cannot_read(connection):
    sender = connection("event-hubs-send")
    assert read(kafka(sender), sender["EntityPath"]) in {"GROUP_AUTHORIZATION_FAILED", "TOPIC_AUTHORIZATION_FAILED"}


def test_a_wrong_key_cannot_connect(connection):
    sender = connection("event-hubs-send")
    forged = kafka(sender, **{"sasl.password": base64.b64encode(b"0" * 32).decode()})
    assert send(forged, sender["EntityPath"]) in {"_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED"}


def test_another_students_keys_open_neither_door(connection, second_student):
    mine, theirs = connection("event-hubs-send"), connection("event-hubs-send", second_student)
    theirs_listen = connection("event-hubs-listen", second_student)
    at_mine = {"bootstrap.servers": kafka(mine)["bootstrap.servers"]}
    assert send(kafka(theirs, **at_mine), mine["EntityPath"]) in {"_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED"}
    assert read(kafka(theirs_listen, **at_mine), mine["EntityPath"]) in {
        "_AUTHENTICATION",
        "SASL_AUTHENTICATION_FAILED",
    }


def test_without_the_token_every_rest_api_answers_401(lab):
    url = next(iter(lab.endpoint["workspaces"].values()))
    with pytest.raises(Unauthenticated):
        list(WorkspaceClient(host=url, token="nonsense", auth_type="pat").jobs.list())
    for door in (
        f"{url}/api/2.2/jobs/list",
        f"{lab.endpoint['arm']}/subscriptions/{lab.outputs()['subscriptionId']}/resources",
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(door)
        assert refused.value.code == 401
        assert json.loads(refused.value.read())


def test_everything_listens_on_loopback_alone(lab):
    for process in lab.processes():
        for socket in process.net_connections(kind="inet"):
            assert not socket.laddr or socket.laddr.ip in {"127.0.0.1", "::1", "::ffff:127.0.0.1"}, socket
