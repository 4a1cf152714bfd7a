"""The storage account with the lab's container."""

from __future__ import annotations

from typing import TypedDict

import pulumi
from pulumi import ResourceOptions
from pulumi_azure_native import storage

from infra.stack import Lab

# What nobody has touched for so long belongs to a lab that was forgotten.
_FORGOTTEN_AFTER_DAYS = 90


class StorageArgs(TypedDict):
    """Where the storage goes."""

    lab: Lab
    """Configuration and names."""
    resource_group: pulumi.Output[str]
    """Name of the resource group."""


class Storage(pulumi.ComponentResource):
    """A Data Lake account (hierarchical namespace) with one private container."""

    account: storage.StorageAccount
    """The storage account."""
    container: storage.BlobContainer
    """The lab's container."""
    root: pulumi.Output[str]
    """The container's `abfss://` URL, without a final slash."""
    key: pulumi.Output[str] | None
    """An account key (secret); None where the account takes identities alone."""

    def __init__(self, name: str, args: StorageArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("lab:infra:Storage", name, {}, opts)
        config, names = args["lab"].config, args["lab"].names
        by_key = config.storage_access == "key"
        self.account = storage.StorageAccount(
            "account",
            resource_group_name=args["resource_group"],
            account_name=names.storage_account,
            location=config.location,
            kind=storage.Kind.STORAGE_V2,
            sku={"name": storage.SkuName.STANDARD_LRS},
            is_hns_enabled=True,
            enable_https_traffic_only=True,
            minimum_tls_version=storage.MinimumTlsVersion.TLS1_2,
            allow_blob_public_access=False,
            allow_cross_tenant_replication=False,
            allow_shared_key_access=by_key,
            tags=config.tags,
            opts=ResourceOptions(parent=self),
        )
        self.container = storage.BlobContainer(
            "container",
            resource_group_name=args["resource_group"],
            account_name=self.account.name,
            container_name=names.container,
            public_access=storage.PublicAccess.NONE,
            opts=ResourceOptions(parent=self),
        )
        storage.ManagementPolicy(
            "lifecycle",
            resource_group_name=args["resource_group"],
            account_name=self.account.name,
            management_policy_name="default",
            policy={
                "rules": [
                    {
                        "name": "forgotten",
                        "type": storage.RuleType.LIFECYCLE,
                        "enabled": True,
                        "definition": {
                            "filters": {"blob_types": ["blockBlob"], "prefix_match": [f"{names.container}/"]},
                            "actions": {
                                "base_blob": {"delete": {"days_after_modification_greater_than": _FORGOTTEN_AFTER_DAYS}}
                            },
                        },
                    }
                ]
            },
            opts=ResourceOptions(parent=self),
        )
        self.key = None
        if by_key:
            keys = storage.list_storage_account_keys_output(
                resource_group_name=args["resource_group"],
                account_name=self.account.name,
                opts=pulumi.InvokeOutputOptions(parent=self),
            )
            self.key = pulumi.Output.secret(keys.keys[0].value)
        self.root = pulumi.Output.format("abfss://{0}@{1}.dfs.core.windows.net", self.container.name, self.account.name)
        self.register_outputs({"account": self.account.name, "container": self.container.name, "root": self.root})
