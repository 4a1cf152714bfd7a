import base64
from typing import Any

import pytest

from localcloud.arm import Arm, Hub
from localcloud.errors import AzureError

PROVIDER = "providers/Microsoft.EventHub/namespaces"


def namespace(group: str, name: str = "ehns-lab") -> str:
    return f"{group}/{PROVIDER}/{name}"


def put_namespace(arm: Arm, group: str, sku: str = "Standard", **properties: Any) -> str:
    body = {"location": "westeurope", "sku": {"name": sku}, "properties": properties}
    return arm.put(namespace(group), body)["id"]


def put_hub(arm: Arm, group: str, name: str = "events", **properties: Any) -> str:
    return arm.put(f"{namespace(group)}/eventhubs/{name}", {"properties": properties})["id"]


@pytest.mark.parametrize("name", ["short", "x" * 51, "1-starts-with-a-digit", "ends-with-", "under_score", "has.dot"])
def test_a_namespace_name_that_breaks_a_rule_is_refused(arm: Arm, group: str, name: str) -> None:
    with pytest.raises(AzureError, match=r"The Event Hubs namespace name .* is invalid") as refused:
        arm.put(namespace(group, name), {"location": "westeurope"})
    assert (refused.value.status, refused.value.code) == (400, "InvalidResourceName")


@pytest.mark.parametrize("name", ["my-microsoft-hub", "windows-hubs", "login-hubs", "Office365"])
def test_reserved_words_are_refused_in_public_names(arm: Arm, group: str, name: str) -> None:
    with pytest.raises(AzureError) as refused:
        arm.put(namespace(group, name), {"location": "westeurope"})
    assert refused.value.code == "ReservedResourceName"


def test_a_namespace_name_is_unique_in_the_world_whatever_its_case(arm: Arm, group: str) -> None:
    put_namespace(arm, group)
    other = arm.put(group + "2", {"location": "westeurope"})["id"]
    with pytest.raises(AzureError, match="The specified name is not available") as refused:
        arm.put(namespace(other, "EHNS-lab"), {"location": "westeurope"})
    assert (refused.value.status, refused.value.code) == (400, "BadRequest")
    arm.delete(namespace(group))
    arm.put(namespace(other, "EHNS-lab"), {"location": "westeurope"})


@pytest.mark.parametrize(
    ("sku", "properties", "reason"),
    [
        ({"name": "Gold"}, {}, "SKU 'Gold'"),
        ({"name": "Standard", "tier": "Basic"}, {}, "tier 'Basic' doesn't match"),
        ({"name": "Standard", "capacity": 0}, {}, "capacity 0"),
        ({"name": "Standard", "capacity": 41}, {}, "capacity 41"),
        ({"name": "Basic"}, {"isAutoInflateEnabled": True}, "Auto-inflate"),
        ({"name": "Basic"}, {"kafkaEnabled": True}, "Kafka endpoint"),
        ({"name": "Standard"}, {"maximumThroughputUnits": 41}, "maximumThroughputUnits 41"),
    ],
)
def test_a_namespace_keeps_to_its_tier(
    arm: Arm, group: str, sku: dict[str, Any], properties: dict[str, Any], reason: str
) -> None:
    with pytest.raises(AzureError, match=reason) as refused:
        arm.put(namespace(group), {"location": "westeurope", "sku": sku, "properties": properties})
    assert (refused.value.status, refused.value.code) == (400, "BadRequest")
    assert arm.get(namespace(group)) is None


def test_a_namespace_cannot_change_to_premium(arm: Arm, group: str) -> None:
    put_namespace(arm, group)
    put_namespace(arm, group, "Basic")
    with pytest.raises(AzureError, match="can't change from Basic to Premium"):
        put_namespace(arm, group, "Premium")


def test_a_hub_needs_its_namespace(arm: Arm, group: str) -> None:
    with pytest.raises(AzureError, match="Parent resource 'ehns-lab' not found") as refused:
        put_hub(arm, group)
    assert (refused.value.status, refused.value.code) == (404, "ParentResourceNotFound")


@pytest.mark.parametrize(
    ("tier", "properties", "reason"),
    [
        ("Standard", {"partitionCount": 0}, "partition count 0"),
        ("Standard", {"partitionCount": 33}, "between 1 and 32"),
        ("Standard", {"partitionCount": 2.5}, "not a whole number"),
        ("Standard", {"messageRetentionInDays": 8}, "192 hours"),
        ("Basic", {"messageRetentionInDays": 2}, "limit of the Basic tier"),
        ("Standard", {"retentionDescription": {"cleanupPolicy": "Delete", "retentionTimeInHours": 0}}, "0 hours"),
        ("Basic", {"retentionDescription": {"cleanupPolicy": "Compact", "retentionTimeInHours": 1}}, "compaction"),
    ],
)
def test_a_hub_keeps_to_its_tier(arm: Arm, group: str, tier: str, properties: dict[str, Any], reason: str) -> None:
    put_namespace(arm, group, tier)
    with pytest.raises(AzureError, match=reason):
        put_hub(arm, group, **properties)


@pytest.mark.parametrize(
    "change",
    [{"partitionCount": 3}, {"partitionCount": 1}, {"retentionDescription": {"cleanupPolicy": "Compact"}}],
)
def test_partitions_and_clean_up_of_a_hub_are_fixed(arm: Arm, group: str, change: dict[str, Any]) -> None:
    put_namespace(arm, group)
    put_hub(arm, group, partitionCount=2)
    with pytest.raises(AzureError, match="can't be changed"):
        put_hub(arm, group, **change)
    put_hub(arm, group, messageRetentionInDays=3)
    assert arm.namespaces()[0].hubs == (Hub(name="events", partitions=2, retention_hours=72),)


def test_premium_hubs_can_only_grow(arm: Arm, group: str) -> None:
    put_namespace(arm, group, "Premium")
    put_hub(arm, group, partitionCount=4)
    put_hub(arm, group, partitionCount=100)
    with pytest.raises(AzureError, match="from 100 to 50"):
        put_hub(arm, group, partitionCount=50)


def test_an_eleventh_hub_is_one_too_many(arm: Arm, group: str) -> None:
    put_namespace(arm, group)
    for number in range(10):
        put_hub(arm, group, f"hub{number}")
    with pytest.raises(AzureError, match="has 10 event hubs") as refused:
        put_hub(arm, group, "hub10")
    assert refused.value.status == 409


def test_consumer_groups_are_not_for_the_basic_tier(arm: Arm, group: str) -> None:
    put_namespace(arm, group, "Basic")
    hub = put_hub(arm, group)
    assert arm.get(f"{hub}/consumergroups/$Default")
    with pytest.raises(AzureError, match="allows 1, \\$Default included"):
        arm.put(f"{hub}/consumergroups/lab", {})
    put_namespace(arm, group)
    arm.put(f"{hub}/consumergroups/lab", {})
    with pytest.raises(AzureError, match="more than 1 consumer group"):
        put_namespace(arm, group, "Basic")


def test_a_namespace_comes_down_to_basic_only_with_what_that_tier_has(arm: Arm, group: str) -> None:
    put_namespace(arm, group)
    put_hub(arm, group, messageRetentionInDays=2)
    with pytest.raises(AzureError, match="'events' keeps events for 48 hours, but the Basic tier allows 24"):
        put_namespace(arm, group, "Basic")
    put_hub(arm, group, messageRetentionInDays=1)
    put_namespace(arm, group, "Basic")


@pytest.mark.parametrize(
    ("rights", "reason"),
    [
        ([], "some of Send"),
        (["Read"], "some of Send"),
        (["Manage"], "needs Send and Listen"),
        (["Manage", "Send"], "needs Send"),
    ],
)
def test_rights_that_make_no_sense_are_refused(arm: Arm, group: str, rights: list[str], reason: str) -> None:
    put_namespace(arm, group)
    hub = put_hub(arm, group)
    with pytest.raises(AzureError, match=reason):
        arm.put(f"{hub}/authorizationRules/rule", {"properties": {"rights": rights}})


def test_a_thirteenth_rule_is_one_too_many(arm: Arm, group: str) -> None:
    put_namespace(arm, group)
    hub = put_hub(arm, group)
    for number in range(12):
        arm.put(f"{hub}/authorizationRules/rule{number}", {"properties": {"rights": ["Send"]}})
    with pytest.raises(AzureError, match="12 rules"):
        arm.put(f"{hub}/authorizationRules/rule12", {"properties": {"rights": ["Send"]}})


def test_keys_are_32_random_bytes_and_stay_until_the_rule_goes(arm: Arm, group: str) -> None:
    put_namespace(arm, group)
    hub = put_hub(arm, group)
    rule = f"{hub}/authorizationRules/send"
    arm.put(rule, {"properties": {"rights": ["Send"]}})
    keys = arm.list_keys(rule)
    port = arm.namespaces()[0].port
    assert len(base64.b64decode(keys["primaryKey"])) == 32
    assert keys["primaryKey"] != keys["secondaryKey"]
    assert keys["primaryConnectionString"] == (
        f"Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=send;SharedAccessKey={keys['primaryKey']};"
        "UseDevelopmentEmulator=true;EntityPath=events;SaslMechanism=SCRAM-SHA-256"
    )
    assert keys["primaryKey"] not in str(arm.get(rule))
    arm.put(rule, {"properties": {"rights": ["Send", "Listen"]}})
    assert arm.list_keys(rule) == keys
    arm.delete(hub)
    with pytest.raises(AzureError, match="was not found"):
        arm.list_keys(rule)
    put_hub(arm, group)
    arm.put(rule, {"properties": {"rights": ["Send"]}})
    assert arm.list_keys(rule) != keys


def test_the_data_plane_sees_what_the_resources_allow(arm: Arm, group: str) -> None:
    put_namespace(arm, group)
    hub = put_hub(arm, group, messageRetentionInDays=1)
    arm.put(f"{hub}/authorizationRules/listen", {"properties": {"rights": ["Listen"]}})
    (seen,) = arm.namespaces()
    assert [(rule.hub, rule.name, rule.rights) for rule in seen.rules] == [("events", "listen", ("Listen",))]
    put_namespace(arm, group, disableLocalAuth=True)
    assert arm.namespaces()[0].rules == ()
    put_namespace(arm, group, "Basic")
    assert arm.namespaces() == [], "the Basic tier has no Kafka endpoint"
