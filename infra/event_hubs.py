"""The Event Hubs namespace with one hub, and one key for each thing that may be done with it."""

from __future__ import annotations

from typing import TypedDict

import pulumi
from pulumi import ResourceOptions
from pulumi_azure_native import eventhub

from infra.stack import Lab


class EventHubsArgs(TypedDict):
    """Where the hub goes."""

    lab: Lab
    """Configuration and names."""
    resource_group: pulumi.Output[str]
    """Name of the resource group."""


class EventHubs(pulumi.ComponentResource):
    """One hub with its own consumer group, a Send-only key and a Listen-only key."""

    consumer_group: pulumi.Output[str]
    """Name of the lab's consumer group."""
    send: pulumi.Output[str]
    """Connection string that can only send (secret)."""
    listen: pulumi.Output[str]
    """Connection string that can only receive (secret)."""

    def __init__(self, name: str, args: EventHubsArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("lab:infra:EventHubs", name, {}, opts)
        config, names = args["lab"].config, args["lab"].names
        namespace = eventhub.Namespace(
            "namespace",
            resource_group_name=args["resource_group"],
            namespace_name=names.namespace,
            location=config.location,
            sku={"name": config.event_hubs_sku, "tier": config.event_hubs_sku, "capacity": 1},
            is_auto_inflate_enabled=False,
            minimum_tls_version="1.2",
            tags=config.tags,
            # Azure refuses to move a namespace to or from Premium.
            opts=ResourceOptions(parent=self, replace_on_changes=["sku.name", "sku.tier"], delete_before_replace=True),
        )
        hub = eventhub.EventHub(
            "hub",
            resource_group_name=args["resource_group"],
            namespace_name=namespace.name,
            event_hub_name=names.hub,
            partition_count=config.hub_partitions,
            message_retention_in_days=1,
            # Azure refuses to change the number of partitions below Premium.
            opts=ResourceOptions(parent=self, replace_on_changes=["partitionCount"], delete_before_replace=True),
        )
        consumer_group = eventhub.ConsumerGroup(
            "consumer-group",
            resource_group_name=args["resource_group"],
            namespace_name=namespace.name,
            event_hub_name=hub.name,
            consumer_group_name=names.consumer_group,
            opts=ResourceOptions(parent=self),
        )

        def key(right: eventhub.AccessRights) -> pulumi.Output[str]:
            rule = eventhub.EventHubAuthorizationRule(
                right.value.lower(),
                resource_group_name=args["resource_group"],
                namespace_name=namespace.name,
                event_hub_name=hub.name,
                authorization_rule_name=right.value.lower(),
                rights=[right],
                opts=ResourceOptions(parent=self),
            )
            keys = eventhub.list_event_hub_keys_output(
                resource_group_name=args["resource_group"],
                namespace_name=namespace.name,
                event_hub_name=hub.name,
                authorization_rule_name=rule.name,
                opts=pulumi.InvokeOutputOptions(parent=self),
            )
            return pulumi.Output.secret(keys.primary_connection_string)

        self.send = key(eventhub.AccessRights.SEND)
        self.listen = key(eventhub.AccessRights.LISTEN)
        self.consumer_group = consumer_group.name
        self.register_outputs({"namespace": namespace.name, "hub": hub.name, "consumerGroup": self.consumer_group})
