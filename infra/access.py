"""Who works in the lab, and how the cluster comes to the lab's storage."""

from __future__ import annotations

import uuid
from typing import TypedDict

import pulumi
import pulumi_databricks as databricks
from pulumi import ResourceOptions
from pulumi_azure_native import authorization
from pulumi_azure_native import databricks as azure_databricks

from infra.config import NAMESPACE
from infra.stack import Lab
from infra.storage import Storage
from infra.workspace import Workspace

# Azure's built-in role "Storage Blob Data Contributor".
_BLOB_DATA_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"


class AccessArgs(TypedDict):
    """What to give access to."""

    lab: Lab
    """Configuration and names."""
    resource_group: pulumi.Output[str]
    """Name of the resource group."""
    storage: Storage
    """The storage that the cluster reads and writes."""
    workspace: Workspace
    """The workspace that the person enters."""


class Access(pulumi.ComponentResource):
    """One person, and in identity mode a storage path that needs no key.

    The cluster's single user, the identity of the jobs and the holder of CAN_MANAGE must be one person: a dedicated
    cluster runs nobody else's code.
    """

    person: pulumi.Output[str]
    """User name of the student, or of who deploys where no student was named."""
    metastore_objects: dict[str, pulumi.Output[str]]
    """Names of `storageCredential` and `externalLocation`; none of them in key mode."""

    def __init__(self, name: str, args: AccessArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("lab:infra:Access", name, {}, opts)
        config, workspace = args["lab"].config, args["workspace"]
        # Without the dependency, a preview before the workspace exists would get an empty answer for a known one.
        me = databricks.get_current_user_output(
            opts=pulumi.InvokeOutputOptions(parent=self, provider=workspace.provider, depends_on=[workspace.resource])
        )
        self.person = me.user_name
        if config.student_email:
            student = databricks.User(
                "student",
                user_name=me.user_name.apply(lambda deployer: _another(config.student_email, deployer)),
                workspace_access=True,
                # Most students are in the account already, from another course.
                force=True,
                opts=workspace.outliving(self),
            )
            self.person = student.user_name
        self.metastore_objects = self._identity(args) if config.storage_access == "identity" else {}
        self.register_outputs({"person": self.person, **self.metastore_objects})

    def _identity(self, args: AccessArgs) -> dict[str, pulumi.Output[str]]:
        lab, storage, workspace = args["lab"], args["storage"], args["workspace"]
        connector = azure_databricks.AccessConnector(
            "access-connector",
            resource_group_name=args["resource_group"],
            connector_name=lab.names.access_connector,
            location=lab.config.location,
            identity={"type": azure_databricks.ManagedServiceIdentityType.SYSTEM_ASSIGNED},
            tags=lab.config.tags,
            opts=ResourceOptions(parent=self),
        )
        principal = connector.identity.apply(lambda identity: identity.principal_id if identity else "")
        role = authorization.RoleAssignment(
            "connector-may-use-storage",
            # Azure never lets a GUID pass from one principal to another, so both are in it.
            role_assignment_name=pulumi.Output.all(storage.account.id, principal).apply(_assignment_name),
            scope=storage.account.id,
            principal_id=principal,
            # Named, so that Azure does not look for an identity that it has not replicated yet.
            principal_type=authorization.PrincipalType.SERVICE_PRINCIPAL,
            role_definition_id=(
                f"/subscriptions/{lab.names.subscription}/providers/Microsoft.Authorization/roleDefinitions/"
                f"{_BLOB_DATA_CONTRIBUTOR}"
            ),
            opts=ResourceOptions(parent=self),
        )
        credential = databricks.StorageCredential(
            "storage-credential",
            name=lab.names.metastore_object,
            azure_managed_identity={"access_connector_id": connector.id},
            comment=f"Streaming lab of {lab.config.student}",
            isolation_mode="ISOLATION_MODE_ISOLATED",
            # Databricks does not know a new connector at once (terraform-provider-databricks#3846, #5768).
            skip_validation=True,
            force_destroy=True,
            opts=workspace.outliving(self, [role]),
        )
        location = databricks.ExternalLocation(
            "external-location",
            name=lab.names.metastore_object,
            url=storage.root,
            credential_name=credential.name,
            comment=f"Streaming lab of {lab.config.student}",
            isolation_mode="ISOLATION_MODE_ISOLATED",
            # A role assignment takes up to ten minutes to have an effect; the first run comes later.
            skip_validation=True,
            # On by default since provider 1.117. They need more rights than the connector has, and can't be turned off
            # later (terraform-provider-databricks#5745, #5967).
            enable_file_events=False,
            force_destroy=True,
            opts=workspace.outliving(self, [role, storage.container]),
        )
        if lab.config.student_email:
            # Who deploys owns the location and needs no grant.
            databricks.Grants(
                "files",
                external_location=location.name,
                # The metastore writes e-mail addresses in lower case and compares them as written
                # (terraform-provider-databricks#3654, #4043).
                grants=[{"principal": self.person.apply(str.lower), "privileges": ["READ_FILES", "WRITE_FILES"]}],
                opts=workspace.outliving(self),
            )
        return {"storageCredential": credential.name, "externalLocation": location.name}


def _another(student: str, deployer: str) -> str:
    if student == deployer.lower():
        # Adding and removing the student's account would add and remove the deployer's.
        rule = "it must not be the account that deploys; leave it empty when the one who deploys is the student"
        raise pulumi.RunError(f"config {NAMESPACE}:studentEmail is {student}: {rule}")
    return student


def _assignment_name(parts: list[str]) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join([*parts, _BLOB_DATA_CONTRIBUTOR]).lower()))
