import contextlib
import dataclasses
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

import toolchain
from localcloud.arm.views import Hub, Namespace, Rule
from localcloud.eventhubs import EventHubs
from localcloud.eventhubs.access import Access, limits
from localcloud.eventhubs.broker import Broker
from localcloud.eventhubs.deleted import DeletedHubs
from localcloud.settings import Settings

KEYS = {"send": "the-key-that-sends-7f3a", "listen": "the-key-that-listens-91bc"}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        tmp_path_factory.mktemp("hubs"),
        toolchain.java(),
        toolchain.jars("spark"),
        toolchain.jars("kafka"),
        Path(sys.executable),
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def namespace(name: str, port: int, **changes: object) -> Namespace:
    base = Namespace(
        id=f"/namespaces/{name}",
        name=name,
        port=port,
        hubs=(Hub("events", 2, 24),),
        rules=(Rule("send", "events", KEYS["send"], ("Send",)), Rule("listen", "events", KEYS["listen"], ("Listen",))),
    )
    return dataclasses.replace(base, **changes)


def client(port: int, user: str, key: str) -> dict[str, object]:
    return {
        "bootstrap.servers": f"127.0.0.1:{port}",
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": user,
        "sasl.password": key,
        "log_level": 0,
    }


def send(port: int, user: str, key: str, *values: bytes, timeout: float = 30) -> list[KafkaError | None]:
    """What became of each value; a client that never got in gives its authentication error."""
    refused: list[KafkaError] = []
    answers: list[KafkaError | None] = []
    producer = Producer(client(port, user, key) | {"error_cb": refused.append, "message.timeout.ms": timeout * 1000})
    for value in values:
        producer.produce("events", value, on_delivery=lambda error, _: answers.append(error))
    end = time.monotonic() + timeout
    while len(answers) < len(values) and time.monotonic() < end:
        producer.poll(0.1)
        fatal = [error for error in refused if error.code() == KafkaError._AUTHENTICATION]
        if fatal:
            producer.purge()
            return fatal[:1]
    return answers


def read(port: int, user: str, key: str, count: int, timeout: float = 30) -> list[bytes]:
    """The hub's first values; raises what the broker answers instead."""
    refused: list[KafkaError] = []
    consumer = Consumer(
        client(port, user, key)
        | {
            "group.id": f"tests-{uuid.uuid4()}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "error_cb": refused.append,
        }
    )
    consumer.subscribe(["events"])
    values: list[bytes] = []
    end = time.monotonic() + timeout
    try:
        while len(values) < count and time.monotonic() < end:
            message = consumer.poll(0.1)
            if message is not None and message.error():
                raise KafkaException(message.error())
            if message is not None:
                values.append(message.value())
            if any(error.code() == KafkaError._AUTHENTICATION for error in refused):
                raise KafkaException(refused[0])
    finally:
        consumer.close()
    return values


@pytest.fixture(scope="module")
def hubs(machine: Settings) -> Iterator[EventHubs]:
    hubs = EventHubs(machine)
    yield hubs
    hubs.close()


@pytest.fixture(scope="module")
def pair(hubs: EventHubs) -> tuple[Namespace, Namespace]:
    """Two students' namespaces."""
    other = Rule("send", "events", "another-students-key-55d0", ("Send",))
    two = (namespace("ns-one", free_port()), namespace("ns-two", free_port(), rules=(other,)))
    hubs.reconcile(two)
    return two


@pytest.fixture
def broker_of(machine: Settings) -> Callable[[Namespace], list[psutil.Process]]:
    def find(space: Namespace) -> list[psutil.Process]:
        folder = str(machine.state / "eventhubs" / space.name)
        return [
            process
            for process in psutil.process_iter(["name", "cmdline"])
            if process.info["name"] == "java"
            # A process that has just ended has none.
            and any(argument.startswith(folder) for argument in process.info["cmdline"] or ())
        ]

    return find


def test_a_broker_starts_with_the_first_connection_and_that_client_succeeds(pair, hubs, broker_of):
    one, two = pair
    assert broker_of(one) == []
    assert send(one.port, "events/send", KEYS["send"], b"first") == [None]
    assert len(broker_of(one)) == 1
    assert broker_of(two) == []
    assert hubs.problems() == []


def test_a_listen_key_reads_but_cannot_send(pair):
    one, _ = pair
    assert b"first" in read(one.port, "events/listen", KEYS["listen"], 1)
    (answer,) = send(one.port, "events/listen", KEYS["listen"], b"no")
    assert answer.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_a_send_key_cannot_read(pair):
    one, _ = pair
    with pytest.raises(KafkaException) as refusal:
        read(one.port, "events/send", KEYS["send"], 1)
    assert refusal.value.args[0].code() in (
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
    )


@pytest.mark.parametrize(
    ("user", "key"),
    [
        pytest.param("events/send", "wrong", id="a wrong key"),
        pytest.param("events/nobody", KEYS["send"], id="a rule that is not there"),
        pytest.param("events/send", "another-students-key-55d0", id="another namespace's key"),
        pytest.param("admin", "admin", id="the broker's administrator"),
    ],
)
def test_who_has_no_key_of_the_namespace_cannot_connect(pair, user, key):
    one, _ = pair
    (answer,) = send(one.port, user, key, b"no")
    assert answer.code() == KafkaError._AUTHENTICATION
    with pytest.raises(KafkaException):
        read(one.port, user, key, 1)


def test_no_key_is_on_a_command_line_or_in_a_file_of_the_broker(pair, machine, broker_of):
    one, _ = pair
    (broker,) = broker_of(one)
    arguments = " ".join(broker.cmdline() + broker.parent().cmdline())
    files = [path for path in (machine.state / "eventhubs").rglob("*") if path.is_file()]
    for key in KEYS.values():
        assert key not in arguments
        assert [path for path in files if key.encode() in path.read_bytes()] == []
    assert "password" not in arguments.lower()
    assert [path for path in files if b"user_admin" in path.read_bytes()] == []


def test_the_broker_listens_on_loopback_alone(pair, broker_of):
    one, _ = pair
    (broker,) = broker_of(one)
    listening = {c.laddr.ip for c in broker.net_connections() if c.status == psutil.CONN_LISTEN}
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


def test_changes_of_keys_partitions_and_rules_reach_a_running_broker(pair, hubs):
    one, two = pair
    more = (Rule("send", "events", "a-new-key", ("Send",)), one.rules[1])
    hubs.reconcile((namespace("ns-one", one.port, hubs=(Hub("events", 3, 1),), rules=more), two))
    (answer,) = send(one.port, "events/send", KEYS["send"], b"no")
    assert answer.code() == KafkaError._AUTHENTICATION
    assert send(one.port, "events/send", "a-new-key", b"second") == [None]
    topic = Producer(client(one.port, "events/send", "a-new-key")).list_topics("events", timeout=10).topics["events"]
    assert len(topic.partitions) == 3
    hubs.reconcile((namespace("ns-one", one.port, rules=one.rules[1:]), two))
    (answer,) = send(one.port, "events/send", "a-new-key", b"no")
    assert answer.code() == KafkaError._AUTHENTICATION
    hubs.reconcile(pair)


def test_a_killed_broker_comes_back_with_its_records(pair, broker_of):
    one, _ = pair
    assert send(one.port, "events/send", KEYS["send"], b"kept") == [None]
    (broker,) = broker_of(one)
    broker.kill()
    broker.wait(10)
    assert b"kept" in read(one.port, "events/listen", KEYS["listen"], 3)
    assert [process.pid for process in broker_of(one)] != [broker.pid]


def test_a_hub_that_is_made_again_is_empty_and_a_deleted_namespace_leaves_nothing(pair, hubs, machine, broker_of):
    one, two = pair
    hubs.reconcile((namespace("ns-one", one.port, hubs=(), rules=()), two))
    hubs.reconcile(pair)
    assert send(one.port, "events/send", KEYS["send"], b"fresh") == [None]
    assert read(one.port, "events/listen", KEYS["listen"], 2, timeout=4) == [b"fresh"]
    hubs.reconcile([two])
    assert broker_of(one) == []
    assert not (machine.state / "eventhubs" / one.name).exists()


def test_a_taken_port_is_a_problem_that_names_the_namespace_and_ends_by_itself(tmp_path, machine):
    hubs = EventHubs(dataclasses.replace(machine, state=tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        hubs.reconcile([namespace("ns-taken", port)])
        (problem,) = hubs.problems()
        assert "ns-taken" in problem
        assert f"port {port}" in problem
    end = time.monotonic() + 10
    while hubs.problems() and time.monotonic() < end:
        hubs.reconcile([namespace("ns-taken", port)])
    assert hubs.problems() == []
    hubs.close()


def test_a_broker_that_does_not_start_is_a_problem_with_its_reason(tmp_path, machine):
    space = namespace("ns-broken", free_port())
    folder = tmp_path / "eventhubs" / space.name / "data"
    folder.mkdir(parents=True)
    (folder / "meta.properties").write_text("version=1\ncluster.id=abc\nnode.id=7\n")
    hubs = EventHubs(dataclasses.replace(machine, state=tmp_path))
    hubs.reconcile([space])
    with socket.create_connection(("127.0.0.1", space.port)) as connection:
        assert connection.recv(1) == b""  # let go when the broker has failed
    (problem,) = hubs.problems()
    assert "ns-broken" in problem
    assert f"port {space.port}" in problem
    assert "node" in problem.lower()
    files = [path for path in (tmp_path / "eventhubs").rglob("*") if path.is_file()]
    assert [path for path in files if b"user_admin" in path.read_bytes()] == [], "the password stays"
    hubs.close()


OWNER = """
import sys
from pathlib import Path
from localcloud.arm.views import Namespace
from localcloud.eventhubs import EventHubs
from localcloud.settings import Settings

state, java, jars, port = sys.argv[1:]
hubs = EventHubs(Settings(Path(state), Path(java), Path(jars), Path(jars), Path(sys.executable)))
hubs.reconcile([Namespace("/namespaces/ns-owned", "ns-owned", int(port), (), ())])
print("listening", flush=True)
sys.stdin.read()
"""


def test_a_broker_does_not_outlive_a_killed_owner(tmp_path, machine, broker_of):
    space = namespace("ns-owned", free_port())
    arguments = [str(machine.java), str(machine.kafka_jars), str(space.port)]
    state = machine.state
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(state), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout.readline() == "listening\n"
        with socket.create_connection(("127.0.0.1", space.port)) as connection:
            assert connection.recv(1) == b""  # let go when the broker is ready
        brokers = broker_of(space)
        owner.kill()
    assert len(brokers) == 1
    psutil.wait_procs(brokers, timeout=15)
    assert broker_of(space) == []


def test_a_missing_java_is_a_problem_too(tmp_path, machine):
    hubs = EventHubs(dataclasses.replace(machine, state=tmp_path, java=Path("/no/such/java")))
    space = namespace("ns-no-java", free_port())
    hubs.reconcile([space])
    with socket.create_connection(("127.0.0.1", space.port)) as connection:
        assert connection.recv(1) == b""
    (problem,) = hubs.problems()
    assert "/no/such/java" in problem
    hubs.close()


def test_a_hub_that_is_made_again_while_its_broker_is_idle_is_empty_after_a_restart_of_the_cloud(tmp_path, machine):
    space = namespace("ns-again", free_port())
    machine = dataclasses.replace(machine, state=tmp_path)
    with contextlib.closing(EventHubs(machine)) as hubs:
        hubs.reconcile([space])
        assert send(space.port, "events/send", KEYS["send"], b"old") == [None]
    with contextlib.closing(EventHubs(machine)) as hubs:
        hubs.reconcile([space])
        hubs.reconcile([dataclasses.replace(space, hubs=(), rules=())])
        hubs.reconcile([space])
    with contextlib.closing(EventHubs(machine)) as hubs:
        hubs.reconcile([space])
        assert send(space.port, "events/send", KEYS["send"], b"fresh") == [None]
        assert read(space.port, "events/listen", KEYS["listen"], 2, timeout=4) == [b"fresh"]
    with contextlib.closing(EventHubs(machine)) as hubs:
        hubs.reconcile([space])
        assert read(space.port, "events/listen", KEYS["listen"], 1) == [b"fresh"], "it was deleted once"


def test_a_hub_that_was_deleted_as_the_cloud_was_killed_counts_as_deleted_when_it_is_made_again(tmp_path):
    space = namespace("ns", 1)
    DeletedHubs(tmp_path, space)
    after_kill = DeletedHubs(tmp_path, dataclasses.replace(space, hubs=()))
    after_kill.note(space)
    assert after_kill.names == DeletedHubs(tmp_path, space).names == {"events"}
    after_kill.gone()
    assert DeletedHubs(tmp_path, space).names == set()
    assert (tmp_path / "hubs.json").stat().st_mode & 0o077 == 0


def test_a_broker_whose_log_finds_no_room_answers_all_the_same(tmp_path, machine):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no full device")
    space = namespace("ns-full", free_port())
    folder = tmp_path / "eventhubs" / space.name
    folder.mkdir(parents=True)
    (folder / "broker.log").symlink_to("/dev/full")
    with contextlib.closing(EventHubs(dataclasses.replace(machine, state=tmp_path))) as hubs:
        hubs.reconcile([space])
        assert send(space.port, "events/send", KEYS["send"], b"kept") == [None]
        assert hubs.problems() == []


def running(state: Path) -> bool:
    """Whether a broker runs that keeps its files there."""
    found = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    return any(str(state) in argument for command in found for argument in command)


def test_an_endpoint_that_fails_ends_its_broker_says_so_and_serves_the_next_client(tmp_path, machine, monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("no idea")

    space = namespace("ns-fails", free_port())
    machine = dataclasses.replace(machine, state=tmp_path)
    with contextlib.closing(EventHubs(machine)) as hubs:
        hubs.reconcile([space])
        with monkeypatch.context() as patch:
            patch.setattr(Access, "sync", broken)
            with socket.create_connection(("127.0.0.1", space.port)) as connection:
                assert connection.recv(1) == b""
        end = time.monotonic() + 10
        while not hubs.problems() and time.monotonic() < end:
            time.sleep(0.05)
        assert "ns-fails: its endpoint failed: no idea" in hubs.problems()[0]
        assert not running(tmp_path)
        assert send(space.port, "events/send", KEYS["send"], b"kept") == [None]
        assert hubs.problems() == []


def test_a_change_that_a_running_broker_does_not_take_stops_it_and_a_removed_key_is_refused(
    tmp_path, machine, monkeypatch
):
    def refused(*_: object) -> None:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))

    space = namespace("ns-change", free_port())
    without = dataclasses.replace(space, rules=space.rules[1:])
    with contextlib.closing(EventHubs(dataclasses.replace(machine, state=tmp_path))) as hubs:
        hubs.reconcile([space])
        assert send(space.port, "events/send", KEYS["send"], b"kept") == [None]
        with monkeypatch.context() as patch:
            patch.setattr(Access, "sync", refused)
            hubs.reconcile([space])
            assert hubs.problems() == [], "a change elsewhere asks nothing of this broker"
            hubs.reconcile([without])
        assert not running(tmp_path)
        (problem,) = hubs.problems()
        assert "ns-change: its broker did not take the change of its hubs or keys, and was stopped" in problem
        (answer,) = send(space.port, "events/send", KEYS["send"], b"no")
        assert answer.code() == KafkaError._AUTHENTICATION
        assert read(space.port, "events/listen", KEYS["listen"], 1) == [b"kept"]
        assert hubs.problems() == []


def test_all_brokers_are_stopped_at_the_same_time(tmp_path, machine, monkeypatch):
    together = threading.Barrier(3, timeout=10)
    close = Broker.close

    def close_with_the_others(broker: Broker) -> None:
        together.wait()
        close(broker)

    hubs = EventHubs(dataclasses.replace(machine, state=tmp_path))
    hubs.reconcile([namespace(f"ns-{number}", free_port()) for number in range(3)])
    monkeypatch.setattr(Broker, "close", close_with_the_others)
    hubs.close()


def test_a_file_among_the_namespaces_folders_disturbs_nobody(tmp_path, machine):
    (tmp_path / "eventhubs").mkdir()
    (tmp_path / "eventhubs" / ".DS_Store").write_text("")
    with contextlib.closing(EventHubs(dataclasses.replace(machine, state=tmp_path))) as hubs:
        hubs.reconcile([namespace("ns-here", free_port())])
        assert hubs.problems() == []


@pytest.mark.parametrize("partitions", [1, 2, 32])
def test_a_hub_stays_below_a_gigabyte_whatever_is_sent(partitions: int) -> None:
    kept = limits(Hub("events", partitions, 24))
    assert kept["retention.ms"] == 24 * 3_600_000
    # Kafka drops whole segments, never the newest one.
    assert partitions * (kept["retention.bytes"] + kept["segment.bytes"]) <= 1.5e9
    assert kept["retention.bytes"] >= kept["segment.bytes"]
