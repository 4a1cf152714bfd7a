"""The azure-native provider under the real Pulumi engine."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pulumi import automation

from localcloud.server import LocalCloud
from localcloud.settings import Settings


@pytest.fixture
def cloud(settings: Settings) -> Iterator[LocalCloud]:
    with LocalCloud(settings) as cloud:
        yield cloud


_CONTRIBUTOR = "/providers/Microsoft.Authorization/roleDefinitions/ba92f5b4-2d11-453d-a403-e96b0029c9fe"


def _program(*, partitions: int = 2, location: str = "West Europe", course: str = "dp-203", typo: bool = False) -> Any:
    def program() -> None:
        import pulumi
        from pulumi_azure_native import authorization, consumption, databricks, eventhub, resources, storage

        client = authorization.get_client_config_output()
        group = resources.ResourceGroup(
            "group", resource_group_name="rg-lab", location=location, tags={"course": course}
        )
        namespace = eventhub.Namespace(
            "namespace",
            resource_group_name=group.name,
            namespace_name="ehns-lab-dev",
            sku={"name": "Standard", "tier": "Standard", "capasity" if typo else "capacity": 1},
        )
        inside = {"resource_group_name": group.name, "namespace_name": namespace.name}
        hub = eventhub.EventHub(
            "hub",
            event_hub_name="events",
            partition_count=partitions,
            message_retention_in_days=1,
            **inside,
        )
        eventhub.ConsumerGroup("consumers", event_hub_name=hub.name, consumer_group_name="lab", **inside)
        rule = eventhub.EventHubAuthorizationRule(
            "send", event_hub_name=hub.name, authorization_rule_name="send", rights=["Send"], **inside
        )
        keys = eventhub.list_event_hub_keys_output(authorization_rule_name=rule.name, event_hub_name=hub.name, **inside)
        account = storage.StorageAccount(
            "account",
            resource_group_name=group.name,
            account_name="stlabdev",
            kind=storage.Kind.STORAGE_V2,
            sku={"name": "Standard_LRS"},
            is_hns_enabled=True,
            enable_https_traffic_only=True,
            minimum_tls_version="TLS1_2",
        )
        storage.BlobContainer(
            "container", resource_group_name=group.name, account_name=account.name, container_name="lab"
        )
        storage.ManagementPolicy(
            "lifecycle",
            resource_group_name=group.name,
            account_name=account.name,
            management_policy_name="default",
            policy={
                "rules": [
                    {
                        "name": "expire",
                        "type": "Lifecycle",
                        "definition": {
                            "actions": {"base_blob": {"delete": {"days_after_modification_greater_than": 30}}},
                            "filters": {"blob_types": ["blockBlob"], "prefix_match": ["lab/"]},
                        },
                    }
                ]
            },
        )
        workspace = databricks.Workspace(
            "workspace",
            resource_group_name=group.name,
            workspace_name="dbw-lab",
            compute_mode="Hybrid",
            managed_resource_group_id=client.subscription_id.apply(
                lambda id: f"/subscriptions/{id}/resourceGroups/rg-lab-managed"
            ),
            sku={"name": "premium"},
            parameters={"enable_no_public_ip": {"value": False}},
        )
        connector = databricks.AccessConnector(
            "connector",
            resource_group_name=group.name,
            connector_name="dbac-lab",
            identity={"type": "SystemAssigned"},
        )
        authorization.RoleAssignment(
            "role",
            scope=account.id,
            role_assignment_name="5d3b1d5c-3b5e-4b43-9a5e-000000000001",
            principal_id=connector.identity.principal_id,
            principal_type="ServicePrincipal",
            role_definition_id=client.subscription_id.apply(lambda id: f"/subscriptions/{id}{_CONTRIBUTOR}"),
        )
        consumption.Budget(
            "budget",
            scope=group.id,
            budget_name="budget-lab",
            amount=50,
            category="Cost",
            time_grain="Annually",
            time_period={"start_date": f"{_this_year()}-01-01T00:00:00Z"},
            notifications={
                "at80": {
                    "enabled": True,
                    "operator": "GreaterThan",
                    "threshold": 80,
                    "contact_emails": ["teacher@example.org"],
                }
            },
        )
        pulumi.export("url", workspace.workspace_url)
        pulumi.export("endpoint", account.primary_endpoints.dfs)
        pulumi.export("connection", pulumi.Output.secret(keys.primary_connection_string))

    return program


def _this_year() -> int:
    from datetime import UTC, datetime

    return datetime.now(UTC).year


def test_a_lab_goes_up_stays_unchanged_and_comes_down(
    cloud: LocalCloud, settings: Settings, engine: Callable[..., Any], endpoint: Callable[..., Any]
) -> None:
    machine = engine(endpoint(settings)["providers"])
    stack = machine.stack(_program())

    assert stack.preview().change_summary == {"create": 13}
    assert cloud.arm.list_groups() == [], "a preview creates nothing"

    first = stack.up()
    assert first.summary.resource_changes == {"create": 13}
    (workspace,) = cloud.arm.workspaces()
    assert first.outputs["url"].value == workspace.url
    assert first.outputs["endpoint"].value == "https://stlabdev.dfs.core.windows.net/"
    (namespace,) = cloud.arm.namespaces()
    connection = first.outputs["connection"]
    assert connection.secret
    assert connection.value.startswith(f"Endpoint=sb://127.0.0.1:{namespace.port};SharedAccessKeyName=send;")
    assert (settings.state / "storage" / "stlabdev" / "lab").is_dir()
    (connector,) = [one for one in cloud.arm.list_resources("rg-lab") if one["name"] == "dbac-lab"]
    assert cloud.arm.may_write_blobs(connector["id"], "stlabdev")

    assert stack.up().summary.resource_changes == {"same": 13}
    assert stack.refresh().summary.resource_changes == {"same": 13}
    kept = [file for file in machine.home.rglob("*") if file.is_file()]
    assert any("stlabdev" in file.read_text(errors="ignore") for file in kept)
    for file in kept:
        assert namespace.rules[0].key not in file.read_text(errors="ignore"), f"{file} holds a key in the clear"

    changed = machine.stack(_program(course="dp-700"))
    assert changed.up().summary.resource_changes == {"same": 12, "update": 1}
    with pytest.raises(automation.CommandError) as refused:
        machine.stack(_program(partitions=4)).up()
    assert 'Code="BadRequest" Message="SubCode=40000. PartitionCount' in str(refused.value)
    assert "Traceback" not in str(refused.value)
    with pytest.raises(
        automation.CommandError, match=r"sku.capasity .*'capasity' is not a property here; did you mean 'capacity'"
    ):
        machine.stack(_program(typo=True)).preview()

    stack.destroy()
    assert [one["name"] for one in cloud.arm.list_groups()] == ["rg-lab-managed"]
