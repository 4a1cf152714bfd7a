import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.config import ConfigError, LabConfig

ROOT = Path(__file__).parent.parent.parent
LEAST = {"student": "ada", "ownerEmail": "teacher@example.com", "expiresOn": "2099-06-30"}


def refusal(**values: str) -> str:
    with pytest.raises(ConfigError) as refused:
        LabConfig.load({**LEAST, **values})
    return str(refused.value)


def declared() -> dict[str, dict[str, Any]]:
    config = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    return {key: value for key, value in config.items() if ":" not in key}


def text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_pulumi_yaml_declares_exactly_the_keys_of_the_model() -> None:
    assert set(declared()) == {field.alias for field in LabConfig.model_fields.values()}


def test_pulumi_yaml_gives_each_key_the_type_and_default_of_the_model() -> None:
    names = {str: "string", int: "integer", bool: "boolean"}
    for field in LabConfig.model_fields.values():
        key = declared()[str(field.alias)]
        assert key["type"] == names.get(field.annotation, "string"), field.alias
        assert ("default" in key) == (not field.is_required()), field.alias
        if not field.is_required():
            assert key["default"] == ("" if field.default is None else field.default), field.alias


def test_the_defaults_that_pulumi_passes_as_texts_are_the_model_s_defaults() -> None:
    passed = {key: text(value["default"]) for key, value in declared().items() if "default" in value}
    assert LabConfig.load({**LEAST, **passed}) == LabConfig.load(LEAST)


def test_the_stack_file_in_the_checkout_is_complete() -> None:
    values = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())["config"]
    config = LabConfig.load({key.removeprefix("streaming-lab:"): text(value) for key, value in values.items()})
    assert config.student == "dev"


def test_no_databricks_resource_may_use_a_default_provider() -> None:
    config = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    assert config["pulumi:disable-default-providers"] == {"value": ["databricks"]}


def test_config_and_naming_load_without_pulumi() -> None:
    loads = "import infra.config, infra.naming, sys; print([m for m in sys.modules if m.startswith('pulumi')])"
    assert subprocess.check_output([sys.executable, "-c", loads], cwd=ROOT, text=True).strip() == "[]"


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("student", "Ada", "lower-case letters"),
        ("student", "a", "2 to 20"),
        ("student", "a" * 21, "2 to 20"),
        ("student", "ada-", "not end with a dash"),
        ("student", "ada--b", "single dashes"),
        ("student", "1ada", "start with a letter"),
        ("student", "ada_b", "lower-case letters"),
        ("student", "my-windows", "Azure reserves"),
        ("student", "win-dows", "Azure reserves"),
        ("student", "a-micro-soft", "Azure reserves"),
        ("course", "streaming-2027", "2 to 12"),
        ("ownerEmail", "teacher", "an e-mail address"),
        ("ownerEmail", "a@b@c.nl", "an e-mail address"),
        ("ownerEmail", "", "an e-mail address"),
        ("ownerEmail", "a..b@example.com", "an e-mail address"),
        ("ownerEmail", ".a@example.com", "an e-mail address"),
        ("ownerEmail", "a.@example.com", "an e-mail address"),
        ("ownerEmail", "a@-x.example.com", "an e-mail address"),
        ("ownerEmail", "a@x-.example.com", "an e-mail address"),
        ("ownerEmail", "a@example.com\n", "an e-mail address"),
        ("studentEmail", "ada@", "an e-mail address"),
        ("studentEmail", "Teacher@example.com", "must differ from ownerEmail"),
        ("expiresOn", "soon", "a date"),
        ("expiresOn", "2027-02-30", "a date"),
        ("expiresOn", "20270630", "a date"),
        ("expiresOn", "2020-01-01", "it must not be in the past"),
        ("location", "mars", "one of the lab's regions"),
        ("location", "West Europe", "one of the lab's regions"),
        ("eventHubsSku", "Basic", "no Kafka endpoint"),
        ("eventHubsSku", "standard", "Standard or Premium"),
        ("hubPartitions", "0", "from 1 to 32"),
        ("hubPartitions", "33", "from 1 to 32"),
        ("hubPartitions", "two", "a whole number"),
        ("hubPartitions", "2.0", "a whole number"),
        ("storageAccess", "none", "identity or key"),
        ("noPublicIp", "yes", "true or false"),
        ("nodeType", "Standard_D99_v9", "a node type that Databricks offers; choose one with 4 cores"),
        ("sparkVersion", "17.3.x-scala2.13", "a Databricks Runtime with Spark 4.1"),
        ("sparkVersion", "18.x-scala2.12", "Scala 2.13"),
        ("sparkVersion", "18.99.x-scala2.13", "18.x-scala2.13, 18.0.x-scala2.13, 18.1.x-scala2.13"),
        ("autoterminationMinutes", "9", "from 10 to 10000"),
        ("autoterminationMinutes", "10001", "from 10 to 10000"),
        ("exercisesCron", "0 6 * * *", "not 6 or 7 fields but 5"),
        ("exercisesCron", "0 0 6 ? *\nMON", "printable ASCII"),
        ("exercisesTimezone", "Mars/Olympus", "a time zone"),
        ("exercisesTimezone", "../etc/passwd", "a time zone"),
        ("exercisesTimezone", "localtime", "a time zone"),
        ("exercisesTimezone", "Factory", "a time zone"),
        ("exercisesTimezone", "posix/UTC", "a time zone"),
        ("exercisesTimezone", "right/UTC", "a time zone"),
        ("exercisesTimezone", "europe/amsterdam", "a time zone"),
        ("exercisesTimezone", "", "a time zone"),
        ("livePaused", "", "true or false"),
        ("budgetAmount", "0", "from 1"),
        ("budgetStart", "2027-01-02", "the first day of a month"),
        ("budgetStart", "2017-05-01", "from 2017-06-01 to"),
        ("budgetStart", "next month", "the first day of a month"),
        ("budgetStart", "2027-13-01", "the first day of a month"),
        ("budgetStart", "2999-01-01", "the first day of a month"),
        ("partitions", "2", "no such key"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key_the_value_and_the_rule(key: str, value: str, rule: str) -> None:
    sentence = refusal(**{key: value})
    shown = value if value.isprintable() else repr(value)
    assert sentence.startswith(f"config streaming-lab:{key} is {shown or 'empty'}: ")
    assert rule in sentence
    assert "\n" not in sentence


def test_each_wrong_key_gets_a_sentence_of_its_own() -> None:
    sentences = refusal(hubPartitions="33", nodeType="Big", unknown="1").splitlines()
    assert sorted(sentence.split()[1] for sentence in sentences) == [
        "streaming-lab:hubPartitions",
        "streaming-lab:nodeType",
        "streaming-lab:unknown",
    ]


def test_a_missing_key_is_named_with_the_command_that_sets_it() -> None:
    with pytest.raises(ConfigError) as refused:
        LabConfig.load({"student": "ada", "expiresOn": "2099-06-30"})
    assert str(refused.value) == (
        "config streaming-lab:ownerEmail is missing: set it with pulumi config set streaming-lab:ownerEmail VALUE"
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("student", "a1"),
        ("student", "a" * 20),
        ("hubPartitions", "1"),
        ("hubPartitions", "32"),
        ("autoterminationMinutes", "10"),
        ("autoterminationMinutes", "10000"),
        ("eventHubsSku", "Premium"),
        ("nodeType", "Standard_D4as_v5"),
        ("nodeType", "Standard_D4ds_v6"),
        ("nodeType", "Standard_D4s_v5"),
        ("nodeType", "Standard_DS12_v2"),
        ("sparkVersion", "18.1.x-scala2.13"),
        ("exercisesTimezone", "Europe/Amsterdam"),
        ("ownerEmail", "first.last+lab@sub.example.org"),
        ("ownerEmail", "o'brien@x.example.org"),
        ("budgetStart", "2017-06-01"),
    ],
)
def test_values_at_the_edge_of_their_rule_are_taken(key: str, value: str) -> None:
    LabConfig.load({**LEAST, key: value})


def test_a_budget_starts_twelve_months_ahead_at_most() -> None:
    today = datetime.now(UTC).date()
    last = today.replace(year=today.year + 1, day=1)
    after = last.replace(month=last.month % 12 + 1, year=last.year + last.month // 12)
    assert LabConfig.load({**LEAST, "budgetStart": last.isoformat()}).budget_start == last
    assert f"to {last}, or empty" in refusal(budgetStart=after.isoformat())


def test_a_student_s_user_name_is_in_lower_case_as_databricks_keeps_it() -> None:
    assert LabConfig.load({**LEAST, "studentEmail": "Ada.Lovelace@Example.com"}).student_email == (
        "ada.lovelace@example.com"
    )


def test_the_configuration_can_not_be_changed() -> None:
    config = LabConfig.load(LEAST)
    with pytest.raises(ValueError, match="frozen"):
        config.student = "bob"  # type: ignore[misc]


def test_the_tags_say_whose_lab_it_is_and_until_when() -> None:
    config = LabConfig.load({**LEAST, "budgetStart": "2027-01-01"})
    assert config.budget_start == date(2027, 1, 1)
    assert config.tags == {
        "course": "dp-203",
        "student": "ada",
        "owner": "teacher@example.com",
        "expires-on": "2099-06-30",
    }
