"""The resources that exist, who asks for them, and what is kept secret about them."""

import base64
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from localcloud import ports
from localcloud.arm import ids
from localcloud.arm.ids import ResourceId
from localcloud.errors import AzureError
from localcloud.store import Store

Document = dict[str, Any]

_RESOURCES = "arm"
_KEYS = "arm-keys"
_PORTS = "arm-ports"
_ACCOUNT = "arm-account"


@dataclass(frozen=True)
class Account:
    """Whose cloud this is: made up once for each state folder, all of them GUIDs."""

    subscription_id: str
    tenant_id: str
    object_id: str
    client_id: str


class World:
    """Reads and writes resources, keys and ports; holds no rules."""

    def __init__(self, store: Store, today: Callable[[], date]) -> None:
        self.store = store
        self.today = today
        with store.transaction():
            known = store.get(_ACCOUNT, "")
            if known is None:
                known = {name: str(uuid.uuid4()) for name in Account.__dataclass_fields__}
                store.put(_ACCOUNT, "", known)
        self.account = Account(**known)

    def find(self, id: str) -> Document | None:
        """The resource with this id."""
        return self.store.get(_RESOURCES, id.lower())

    def save(self, rid: ResourceId, document: Document) -> Document:
        """Write a resource. The id keeps the letters that it was created with."""
        old = self.find(rid.text)
        document = {
            "id": old["id"] if old else rid.text,
            "name": old["name"] if old else rid.name,
            "type": rid.type,
            **document,
        }
        self.store.put(_RESOURCES, rid.key, document)
        return document

    def remove(self, id: str) -> None:
        """Forget a resource, its keys and its port."""
        for kind in (_RESOURCES, _KEYS, _PORTS):
            self.store.delete(kind, id.lower())

    def of_type(self, type: str) -> list[Document]:
        """All resources of a type, oldest first."""
        return [document for _, document in self.store.list(_RESOURCES) if document["type"].lower() == type.lower()]

    def below(self, id: str) -> list[Document]:
        """Everything that lies in a resource or group, oldest first."""
        return [document for _, document in self.store.list(_RESOURCES, id.lower() + "/")]

    def children(self, id: str, type: str) -> list[Document]:
        """What lies in a resource or group and is of a type, oldest first."""
        return [document for document in self.below(id) if document["type"].lower() == type.lower()]

    def keys(self, id: str, size: int) -> tuple[str, str]:
        """The two keys of a resource, made of `size` random bytes when first asked for."""
        with self.store.transaction():
            known = self.store.get(_KEYS, id.lower())
            if known is None:
                known = {name: base64.b64encode(secrets.token_bytes(size)).decode() for name in ("first", "second")}
                self.store.put(_KEYS, id.lower(), known)
        return known["first"], known["second"]

    def port(self, id: str) -> int:
        """The loopback port of a resource's endpoint: free when first asked for, the same from then on."""
        with self.store.transaction():
            known = self.store.get(_PORTS, id.lower())
            if known is None:
                taken = {value["port"] for _, value in self.store.list(_PORTS)}
                known = {"port": next(port for port in iter(ports.free, None) if port not in taken)}
                self.store.put(_PORTS, id.lower(), known)
        return int(known["port"])

    def require_group(self, rid: ResourceId) -> Document | None:
        """The group that a resource lies in (None at subscription level); raises if it doesn't exist."""
        if rid.subscription.lower() != self.account.subscription_id:
            raise AzureError(404, "SubscriptionNotFound", f"The subscription '{rid.subscription}' could not be found.")
        if rid.group is None:
            return None
        group = self.find(ids.group_id(rid.subscription, rid.group))
        if group is None:
            raise AzureError(404, "ResourceGroupNotFound", f"Resource group '{rid.group}' could not be found.")
        return group
