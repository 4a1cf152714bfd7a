"""What the engine says, in one sentence each."""

from types import SimpleNamespace

import pytest

from lab.diagnostics import Events, sentence

URN = "urn:pulumi:dev::streaming-lab::lab:compute:Compute$databricks:index/cluster:Cluster::cluster"


@pytest.mark.parametrize(
    ("engine", "people"),
    [
        (
            "error: azure-native:eventhub:Namespace resource 'namespace': property sku.tier value {<nil>} "
            "has a problem: must be one of Basic, Standard, Premium, but is 'Fancy'",
            "sku.tier must be one of Basic, Standard, Premium, but is 'Fancy'",
        ),
        (
            "azure-native:storage:StorageAccount resource 'storage' has a problem: missing required property 'sku'. "
            "Examine values at 'storage.sku'.",
            "missing required property 'sku'",
        ),
        (
            "\x1b[31merror: \x1b[0mrpc error: code = Unknown desc = 1 error occurred:\n"
            "\t* creating urn:pulumi:dev::p::databricks:index/cluster:Cluster::cluster: Invalid spark version 9.x\n\n",
            "Invalid spark version 9.x",
        ),
        ("The storage account named labdev is already taken.", "The storage account named labdev is already taken."),
        (
            "python inline source runtime error: no wheel\nTraceback (most recent call last):\n"
            '  File "x.py", line 1\nFileNotFoundError: jobs/dist holds no wheel\n',
            "jobs/dist holds no wheel",
        ),
    ],
)
def test_a_providers_own_sentence_is_taken_out_of_the_engines_wrapping(engine, people):
    assert sentence(engine) == people


def event(**parts):
    kinds = ("resource_pre_event", "res_outputs_event", "res_op_failed_event", "diagnostic_event")
    return SimpleNamespace(**{kind: parts.get(kind) for kind in kinds})


def step(operation, urn=URN, kind="databricks:index/cluster:Cluster", custom=True):
    state = SimpleNamespace(custom=custom)
    return SimpleNamespace(metadata=SimpleNamespace(op=operation, urn=urn, type=kind, new=state, old=None))


def diagnostic(message, urn="", severity="error"):
    return SimpleNamespace(message=message, urn=urn, severity=severity, ephemeral=False)


def test_components_and_providers_are_not_counted_and_a_replacement_counts_once(report):
    events = Events(report, "making")
    steps = [
        ("same", "urn:a::x", "azure-native:storage:StorageAccount", True),
        ("create", "urn:b::y", "pulumi:providers:databricks", True),
        ("create", "urn:c::z", "lab:compute:Compute", False),
        ("create-replacement", "urn:d::w", "azure-native:eventhub:EventHub", True),
        ("replace", "urn:d::w", "azure-native:eventhub:EventHub", True),
        ("same", "urn:d::w", "azure-native:eventhub:EventHub", True),
    ]
    for operation, urn, kind, custom in steps:
        events(event(res_outputs_event=step(operation, urn, kind, custom)))
    assert (events.resources, events.changed) == (2, 1)


def test_the_resource_that_failed_is_told_before_what_follows_from_it(report):
    events = Events(report, "making")
    stack = "urn:pulumi:dev::streaming-lab::pulumi:pulumi:Stack::streaming-lab-dev"
    events(event(diagnostic_event=diagnostic("error: update failed", stack)))
    events(event(diagnostic_event=diagnostic("the program ended early", stack)))
    events(event(diagnostic_event=diagnostic("only a warning", URN, "warning")))
    events(event(diagnostic_event=diagnostic("Invalid spark version 9.x", URN)))
    assert (events.failure.what, events.failure.message) == ("cluster", "Invalid spark version 9.x")


@pytest.mark.parametrize(("operation", "remembered"), [("create", 1), ("create-replacement", 0), ("update", 0)])
def test_a_failed_create_is_remembered_as_the_record_would_hold_it(report, operation, remembered):
    failed = step(operation)
    vars(failed.metadata.new).update(urn=URN, type="t", inputs={"name": "x"}, parent="p", provider="q")
    events = Events(report, "making")
    events(event(res_op_failed_event=failed))
    expected = {"urn": URN, "type": "t", "custom": True, "inputs": {"name": "x"}, "parent": "p", "provider": "q"}
    assert events.failed_creates == [expected] * remembered


def test_what_is_under_way_is_named(report):
    events = Events(report, "making")
    events(event(resource_pre_event=step("create")))
    events(event(resource_pre_event=step("same")))
    assert report.moments == ["making cluster · 0 done"]


def test_what_was_created_is_known_by_its_type(report):
    events = Events(report, "making")
    for kind, operations in {
        "a:New": ["create"],
        "a:Replaced": ["create-replacement", "replace", "delete-replaced"],
        "a:Updated": ["update"],
        "a:Adopted": ["import"],
        "a:Same": ["same"],
    }.items():
        for operation in operations:
            events(event(res_outputs_event=step(operation, f"{URN}-{kind}", kind)))
    events(event(resource_pre_event=step("create", kind="a:Failed")))
    assert events.created == {"a:New", "a:Replaced"}
