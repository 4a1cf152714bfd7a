import pytest
from streaming_lab.connection import ConnectionStringError, hub_name, kafka_options, read_options, write_options

KEY = "bm90LWEtcmVhbC1rZXktanVzdC10ZXN0LWRhdGE="
AZURE = (
    f"Endpoint=sb://ns-dev.servicebus.windows.net/;SharedAccessKeyName=listen;SharedAccessKey={KEY};EntityPath=events"
)
EMULATOR = (
    f"Endpoint=sb://localhost;SharedAccessKeyName=r;SharedAccessKey={KEY};UseDevelopmentEmulator=true;EntityPath=h"
)
LOCAL = (
    f"Endpoint=sb://127.0.0.1:41234;SharedAccessKeyName=listen;SharedAccessKey={KEY};"
    "UseDevelopmentEmulator=true;EntityPath=events;SaslMechanism=SCRAM-SHA-256"
)


@pytest.fixture(autouse=True)
def no_databricks(monkeypatch):
    monkeypatch.delenv("DATABRICKS_RUNTIME_VERSION", raising=False)


def test_azure_gets_tls_on_9093_and_the_whole_string_as_password():
    assert kafka_options(AZURE) == {
        "kafka.bootstrap.servers": "ns-dev.servicebus.windows.net:9093",
        "kafka.security.protocol": "SASL_SSL",
        "kafka.sasl.mechanism": "PLAIN",
        "kafka.sasl.jaas.config": (
            "org.apache.kafka.common.security.plain.PlainLoginModule required "
            f'username="$ConnectionString" password="{AZURE}";'
        ),
        "kafka.request.timeout.ms": "60000",
        "kafka.metadata.max.age.ms": "180000",
        "kafka.connections.max.idle.ms": "180000",
    }


def test_the_emulator_gets_no_tls_and_its_own_port():
    options = kafka_options(EMULATOR)
    assert options["kafka.bootstrap.servers"] == "localhost:9092"
    assert options["kafka.security.protocol"] == "SASL_PLAINTEXT"
    assert 'username="$ConnectionString"' in options["kafka.sasl.jaas.config"]


def test_a_scram_broker_gets_the_rule_as_user_and_its_key_as_password():
    options = kafka_options(LOCAL)
    assert options["kafka.bootstrap.servers"] == "127.0.0.1:41234"
    assert options["kafka.security.protocol"] == "SASL_PLAINTEXT"
    assert options["kafka.sasl.mechanism"] == "SCRAM-SHA-256"
    assert options["kafka.sasl.jaas.config"] == (
        f'org.apache.kafka.common.security.scram.ScramLoginModule required username="events/listen" password="{KEY}";'
    )


@pytest.mark.parametrize("string", [AZURE, LOCAL])
def test_databricks_own_kafka_client_has_other_package_names(string, monkeypatch):
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "18.x")
    assert kafka_options(string)["kafka.sasl.jaas.config"].startswith("kafkashaded.org.apache.kafka.common.security.")


def test_a_reader_shares_no_group_id_and_a_writer_names_the_hub():
    reading = read_options(AZURE, "exercises")
    assert reading["subscribe"] == hub_name(AZURE) == "events"
    assert reading["groupIdPrefix"] == "exercises"
    assert "kafka.group.id" not in reading
    writing = write_options(AZURE)
    assert writing["topic"] == "events"
    assert int(writing["kafka.max.request.size"]) < 1_046_528
    assert not [name for name in writing if "transactional" in name or "compression" in name]


@pytest.mark.parametrize(
    ("string", "complaint"),
    [
        ("", "no Endpoint"),
        (KEY, "Part 1 of the connection string is not NAME=VALUE"),
        (AZURE.replace(";EntityPath=events", ""), "no EntityPath: take it from a rule of the hub"),
        (AZURE.replace(KEY, ""), "no SharedAccessKey."),
        (AZURE.replace("SharedAccessKeyName=listen;", ""), "no SharedAccessKeyName"),
        (AZURE.replace("sb://", "https://"), "Endpoint is not of the form sb://host/"),
        (AZURE.replace(".net/", ".net:port/"), "Endpoint is not of the form sb://host/"),
        (AZURE + f";SharedAccessKey={KEY}", "names SharedAccessKey twice"),
        (AZURE + f";Password={KEY}", "Part 5 of the connection string is not NAME=VALUE"),
        (LOCAL.replace("SCRAM-SHA-256", "OAUTHBEARER"), "SaslMechanism is neither PLAIN nor SCRAM-SHA-256"),
    ],
)
def test_a_malformed_string_is_refused_without_an_echo_of_the_secret(string, complaint):
    with pytest.raises(ConnectionStringError) as error:
        kafka_options(string)
    assert complaint in str(error.value)
    assert KEY not in str(error.value)


def test_a_key_with_quotes_stays_one_password():
    options = kafka_options(LOCAL.replace(KEY, 'a"b\\c'))
    assert r'password="a\"b\\c";' in options["kafka.sasl.jaas.config"]
