"""The ledger as people and programs see it."""

import json

import pytest

from lab import overview

ROW = {"sent": 60000, "stored": 59100, "quarantined": 300, "duplicates": 600, "late": None, "open": 0}


@pytest.fixture
def verified(lab, monkeypatch):
    """Run a command whose workspace answers with this ledger."""

    def run(ledger, *arguments):
        from lab import exercises

        monkeypatch.setattr(overview, "workspace_of", lambda *_: None)
        monkeypatch.setattr(exercises, "verify", lambda *_: ledger)
        return lab(*arguments)

    return run


def test_numbers_are_right_aligned_and_what_was_not_measured_is_a_dash(verified):
    done = verified({"ok": True, "exercises": [{"name": "concepts", **ROW, "remainder": 0}]}, "verify")
    assert done.code == 0
    header, row = done.out.splitlines()[1:]
    assert header == "ledger     exercise    sent  stored  quarantined  duplicates  late  open  remainder"
    assert row == "           concepts  60,000  59,100          300         600     –     0          0"


def test_a_difference_names_the_exercise_and_exits_1(verified):
    ledger = {"ok": False, "exercises": [{"name": "windows", **ROW, "remainder": 1, "problems": ["1 row is missing"]}]}
    done = verified(ledger, "verify")
    assert done.code == 1
    assert done.err.startswith("error      verify: windows: 1 row is missing\n")
    done = verified(ledger, "verify", "--json")
    assert done.code == 1
    assert json.loads(done.out) == ledger
