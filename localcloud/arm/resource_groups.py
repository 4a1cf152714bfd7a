"""Microsoft.Resources: resource groups."""

from localcloud.arm.databricks import check_group_name
from localcloud.arm.ids import GROUP, ResourceId
from localcloud.arm.kind import Kind
from localcloud.arm.world import Document, World
from localcloud.errors import AzureError


class GroupKind(Kind):
    """A resource group."""

    type = GROUP
    tracked = True

    def check_name(self, rid: ResourceId) -> None:
        """1-90 characters."""
        check_group_name(rid.name)

    def put(self, world: World, rid: ResourceId, body: Document, old: Document | None) -> Document:
        """The location is fixed."""
        if old and old["location"] != body["location"]:
            raise AzureError(
                409,
                "InvalidResourceGroupLocation",
                f"Invalid resource group location '{body['location']}'. The Resource group already exists in "
                f"location '{old['location']}'.",
            )
        return {
            "location": body["location"],
            "tags": body.get("tags", {}),
            **({"managedBy": body["managedBy"]} if "managedBy" in body else {}),
            "properties": {"provisioningState": "Succeeded"},
        }
