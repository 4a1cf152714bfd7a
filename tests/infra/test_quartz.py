"""Quartz's own documentation, CronTrigger tutorial, gives these examples and rules."""

import pytest

from infra import quartz


@pytest.mark.parametrize(
    "expression",
    [
        "0 0 12 * * ?",
        "0 15 10 ? * *",
        "0 15 10 * * ? 2027",
        "0 0/5 14,18 * * ?",
        "0 0-5 14 * * ?",
        "0 10,44 14 ? 3 WED",
        "0 15 10 ? * MON-FRI",
        "0 15 10 L * ?",
        "0 15 10 L-2 * ?",
        "0 15 10 15W * ?",
        "0 15 10 LW * ?",
        "0 15 10 ? * 6L",
        "0 15 10 ? * 6#3",
        "0 15 10 ? * FRI#3 2027-2029",
        "0 0 12 1/5 * ?",
        "0 11 11 11 11 ?",
        "0 0 8 ? jan-mar fri-mon",
        "0 0 22-2 ? NOV-FEB *",
        "50-10/20 * * * * ?",
        "0 0 6 * * ? 2099",
        "0/10 * * * * ?",
        "5,25,45 * * * * ?",
    ],
)
def test_an_expression_of_quartz_is_taken(expression: str) -> None:
    assert quartz.problem(expression) is None


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "not 6 or 7 fields but 0"),
        ("0 6 * * *", "not 6 or 7 fields but 5"),
        ("0 0 6 ? * MON 2027 2028", "not 6 or 7 fields but 8"),
        ("0 0 6 * * *", "exactly one of day of month and day of week"),
        ("0 0 6 ? * ?", "exactly one of day of month and day of week"),
        ("60 0 6 * * ?", "seconds field '60'"),
        ("0 60 6 * * ?", "minutes field '60'"),
        ("0 0 24 * * ?", "hours field '24'"),
        ("0 0 6 32 * ?", "day of month field '32'"),
        ("0 0 6 0 * ?", "day of month field '0'"),
        ("0 0 6 * 13 ?", "month field '13'"),
        ("0 0 6 ? * 8", "day of week field '8'"),
        ("0 0 6 ? * XYZ", "day of week field 'XYZ'"),
        ("0 0 6 ? * 6#6", "day of week field '6#6'"),
        ("0 0 6 * * ? 1969", "year field '1969'"),
        ("0 0 6 * * ? 2100", "year field '2100'"),
        ("0 0 6 * * ? 2030-2027", "year field '2030-2027'"),
        ("0 0 6 1,L * ?", "day of month field '1,L'"),
        ("0 0 6 15W,20 * ?", "day of month field '15W,20'"),
        ("0 0 6 ? * MON,6L", "day of week field 'MON,6L'"),
        ("0 0 6 ? * 6#1,6#3", "day of week field '6#1,6#3'"),
        ("0 0 ٦ ? * MON", "printable ASCII"),
        ("0 0 6 ? *\tMON", "printable ASCII"),
        ("0 0 6 ? * MON\n", "printable ASCII"),
        ("0 0/0 6 * * ?", "minutes field '0/0'"),
        ("0 0, 6 * * ?", "minutes field '0,'"),
        ("0 ? 6 * * ?", "minutes field '?'"),
        ("* * * * * ?", "more often than every 10 seconds"),
        ("0/5 * * * * ?", "more often than every 10 seconds"),
        ("0,55 * * * * ?", "more often than every 10 seconds"),
        ("50-5/15,0 * * * * ?", "more often than every 10 seconds"),
    ],
)
def test_any_other_expression_is_refused_with_what_is_wrong(expression: str, reason: str) -> None:
    assert reason in (quartz.problem(expression) or "")
