"""ARM resource ids, which are compared without regard to case."""

from dataclasses import dataclass

from localcloud.errors import AzureError

GROUP = "Microsoft.Resources/resourceGroups"
SUBSCRIPTION = "Microsoft.Resources/subscriptions"


@dataclass(frozen=True)
class ResourceId:
    """A parsed id.

    type: `Provider/type/childType`; names: one for each part of the type; scope: the id in front of the last
    `/providers/`, which is a group for most resources and any resource for role assignments and budgets;
    group: name of the resource group it lies in, None for what belongs to the subscription.
    """

    text: str
    subscription: str
    group: str | None
    scope: str
    type: str
    names: tuple[str, ...]

    @property
    def key(self) -> str:
        """The form in which ids are compared."""
        return self.text.lower()

    @property
    def name(self) -> str:
        """The resource's own name."""
        return self.names[-1]

    @property
    def parent(self) -> "ResourceId | None":
        """The resource that a child lies in, None for what lies directly in its scope."""
        return parse(self.text.rsplit("/", 2)[0]) if len(self.names) > 1 else None


def parse(text: str) -> ResourceId:
    """The id of a subscription, a resource group or a resource; raises AzureError for anything else."""
    parts = text.strip("/").split("/")
    if len(parts) < 2 or len(parts) % 2 or parts[0].lower() != "subscriptions" or not all(parts):
        raise AzureError(400, "InvalidResourceId", f"'{text}' is not the id of an Azure resource.")
    text = "/" + "/".join(parts)
    subscription = parts[1]
    group = parts[3] if len(parts) > 3 and parts[2].lower() == "resourcegroups" else None
    lower = [part.lower() for part in parts]
    if "providers" not in lower[0::2]:
        if len(parts) == 2:
            return ResourceId(text, subscription, None, "", SUBSCRIPTION, (subscription,))
        if len(parts) == 4 and group:
            return ResourceId(text, subscription, group, f"/subscriptions/{subscription}", GROUP, (group,))
        raise AzureError(400, "InvalidResourceId", f"'{text}' is not the id of an Azure resource.")
    last = len(parts) - 2 - lower[0::2][::-1].index("providers") * 2
    pairs = parts[last + 2 :]
    if not pairs:
        raise AzureError(400, "InvalidResourceId", f"'{text}' names a resource provider, but no resource of it.")
    kind = "/".join([parts[last + 1], *pairs[0::2]])
    return ResourceId(text, subscription, group, "/" + "/".join(parts[:last]), kind, tuple(pairs[1::2]))


def group_id(subscription: str, group: str) -> str:
    """The id of a resource group."""
    return f"/subscriptions/{subscription}/resourceGroups/{group}"
