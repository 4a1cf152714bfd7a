"""Microsoft.Storage: accounts, blob containers and lifecycle rules.

Rules: azure-rest-api-specs storage/resource-manager, terraform-provider-azurerm storage/validate, azure-docs
lifecycle-management-policy-structure.md.
"""

import re
from typing import Any

from localcloud.arm import names
from localcloud.arm.ids import ResourceId
from localcloud.arm.kind import Kind, flag
from localcloud.arm.views import Container
from localcloud.arm.world import Document, World
from localcloud.errors import AzureError

ACCOUNT = "Microsoft.Storage/storageAccounts"
CONTAINER = f"{ACCOUNT}/blobServices/containers"
POLICY = f"{ACCOUNT}/managementPolicies"

_KEY_BYTES = 64
_KINDS = ("Storage", "StorageV2", "BlobStorage", "FileStorage", "BlockBlobStorage")
_RULES_AT_MOST = 100
_PREFIXES_AT_MOST = 10


def _invalid(message: str) -> AzureError:
    return AzureError(400, "InvalidRequestPropertyValue", message)


class AccountKind(Kind):
    """A storage account; its name is part of a public host name."""

    type = ACCOUNT
    tracked = True

    def check_name(self, rid: ResourceId) -> None:
        """3-24 lower-case letters and digits, unique in the world."""
        if not re.fullmatch(r"[a-z0-9]{3,24}", rid.name):
            raise AzureError(
                400,
                "AccountNameInvalid",
                f"{rid.name} is not a valid storage account name. Storage account name must be between 3 and 24 "
                "characters in length and use numbers and lower-case letters only.",
            )
        names.check_reserved(rid.name)

    def put(self, world: World, rid: ResourceId, body: Document, old: Document | None) -> Document:
        """The hierarchical namespace needs a fitting kind and SKU and can't be changed."""
        if old is None and any(one["name"].lower() == rid.name for one in world.of_type(ACCOUNT)):
            raise AzureError(
                409, "StorageAccountAlreadyTaken", f"The storage account named {rid.name} is already taken."
            )
        properties = dict(body.get("properties", {}))
        kind, sku = body.get("kind", ""), str((body.get("sku") or {}).get("name", ""))
        if kind not in _KINDS:
            raise _invalid(f"The value '{kind}' is not allowed for property kind.")
        if not re.fullmatch(r"(Standard|Premium|StandardV2|PremiumV2)_\w+", sku):
            raise _invalid(f"The value '{sku}' is not allowed for property sku.name.")
        hns = flag(properties, "isHnsEnabled", False)
        if old and hns != old["properties"]["isHnsEnabled"]:
            raise _invalid(
                f"The value '{hns}' is not allowed for property isHnsEnabled. "
                "For more information, see - https://aka.ms/storageaccountupdate"
            )
        if hns and (kind, sku.split("_", maxsplit=1)[0]) not in (
            ("StorageV2", "Standard"),
            ("BlockBlobStorage", "Premium"),
        ):
            raise _invalid(
                f"The value 'True' is not allowed for property isHnsEnabled with kind '{kind}' and SKU '{sku}': "
                "it needs StorageV2 with a Standard SKU or BlockBlobStorage with a Premium SKU."
            )
        services = ["blob", "file", "queue", "table", "dfs", "web"]
        return {
            "location": body["location"],
            "tags": body.get("tags", {}),
            "kind": kind,
            "sku": {"name": sku, "tier": sku.split("_", maxsplit=1)[0].removesuffix("V2")},
            **({"identity": body["identity"]} if "identity" in body else {}),
            "properties": {
                "accessTier": "Hot",
                "allowBlobPublicAccess": False,
                "allowSharedKeyAccess": True,
                "minimumTlsVersion": "TLS1_0",
                "supportsHttpsTrafficOnly": True,
                **properties,
                "isHnsEnabled": hns,
                "primaryEndpoints": {
                    service: f"https://{rid.name}.{'z6.' if service == 'web' else ''}{service}.core.windows.net/"
                    for service in services
                },
                "primaryLocation": body["location"],
                "provisioningState": "Succeeded",
                "statusOfPrimary": "available",
            },
        }


class ContainerKind(Kind):
    """A blob container."""

    type = CONTAINER

    def check_name(self, rid: ResourceId) -> None:
        """3-63 lower-case letters, digits and single hyphens."""
        names.check_name(
            rid.name,
            "blob container",
            r"[a-z0-9](-?[a-z0-9])*",
            (3, 63),
            "lower-case letters, digits and single hyphens, a letter or digit at both ends",
        )

    def put(self, world: World, rid: ResourceId, body: Document, old: Document | None) -> Document:
        """Public access only where the account permits it."""
        properties = dict(body.get("properties", {}))
        account = world.find(rid.text.split("/blobServices/")[0]) or {"properties": {}}
        public = properties.get("publicAccess", "None")
        if public != "None" and not flag(account["properties"], "allowBlobPublicAccess", False):
            raise AzureError(409, "PublicAccessNotPermitted", "Public access is not permitted on this storage account.")
        return {
            "properties": {
                **properties,
                "publicAccess": public,
                "leaseState": "Available",
                "leaseStatus": "Unlocked",
                "hasImmutabilityPolicy": False,
                "hasLegalHold": False,
                "deleted": False,
            }
        }


class PolicyKind(Kind):
    """An account's lifecycle rules; there is one policy, named default."""

    type = POLICY

    def check_name(self, rid: ResourceId) -> None:
        """Only `default`."""
        if rid.name != "default":
            raise AzureError(
                404,
                "HttpResourceNotFound",
                f"The request url {rid.text} is invalid: the name of a management policy must be 'default'.",
            )

    def put(self, world: World, rid: ResourceId, body: Document, old: Document | None) -> Document:
        """1-100 rules, each with a name of its own, a filter on blob types, and an action."""
        properties = dict(body.get("properties", {}))
        rules = (properties.get("policy") or {}).get("rules") or []
        if not 1 <= len(rules) <= _RULES_AT_MOST:
            raise _invalid(f"The policy has {len(rules)} rules: it must have 1 to {_RULES_AT_MOST}.")
        seen: set[str] = set()
        for rule in rules:
            _check_rule(rule)
            if rule["name"].lower() in seen:
                raise _invalid(f"The rule name '{rule['name']}' is used twice: rule names must be unique.")
            seen.add(rule["name"].lower())
        return {"properties": {**properties, "lastModifiedTime": f"{world.today().isoformat()}T00:00:00.0000000Z"}}


def _check_rule(rule: dict[str, Any]) -> None:
    name = str(rule.get("name", ""))
    if not re.fullmatch(r"[A-Za-z0-9-]{1,256}", name):
        raise _invalid(f"The rule name '{name}' is invalid: 1 to 256 letters, digits and hyphens.")
    if rule.get("type") != "Lifecycle":
        raise _invalid(f"The type '{rule.get('type')}' of rule '{name}' must be Lifecycle.")
    definition = rule.get("definition") or {}
    filters = definition.get("filters") or {}
    types = filters.get("blobTypes") or []
    if not types or not set(types) <= {"blockBlob", "appendBlob"}:
        raise _invalid(f"The blobTypes {types} of rule '{name}' must be some of blockBlob, appendBlob.")
    prefixes = filters.get("prefixMatch") or []
    if len(prefixes) > _PREFIXES_AT_MOST:
        raise _invalid(f"Rule '{name}' has {len(prefixes)} prefixes: at most {_PREFIXES_AT_MOST} are allowed.")
    for prefix in prefixes:
        if not re.match(r"[a-z0-9$][a-z0-9-]*", prefix):
            raise _invalid(f"The prefix '{prefix}' of rule '{name}' must start with the name of a container.")
    actions = [
        (place, verb, condition)
        for place, verbs in (definition.get("actions") or {}).items()
        for verb, condition in (verbs or {}).items()
        if isinstance(condition, dict)
    ]
    if not actions:
        raise _invalid(f"Rule '{name}' has no action: at least one is required.")
    for place, verb, condition in actions:
        for days in condition.values():
            if float(days) < 0 or not float(days).is_integer():
                raise _invalid(f"The {days} days of {place}.{verb} in rule '{name}' must be a whole number from 0.")


def account_keys(world: World, rid: ResourceId) -> dict[str, Any]:
    """What `listKeys` answers."""
    pair = world.keys(rid.text, _KEY_BYTES)
    return {
        "keys": [
            {"keyName": f"key{number}", "value": key, "permissions": "FULL"} for number, key in enumerate(pair, start=1)
        ]
    }


def containers(world: World) -> list[Container]:
    """All blob containers, with the keys that open them."""
    return [
        Container(
            account=account["name"],
            name=container["name"],
            account_keys=world.keys(account["id"], _KEY_BYTES)
            if flag(account["properties"], "allowSharedKeyAccess", True)
            else (),
        )
        for account in world.of_type(ACCOUNT)
        for container in world.children(account["id"], CONTAINER)
    ]
