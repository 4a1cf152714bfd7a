"""The name of everything that the program creates, known before anything is created.

The rules are Azure's (Microsoft Learn, "Naming rules and restrictions for Azure resources"). Names that are unique in
the world carry a short hash, so that two courses with a student `dev` do not meet.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

COURSE_LENGTH = (2, 12)
STUDENT_LENGTH = (2, 20)
_ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
# ARM answers ReservedResourceName for a name with one of these inside.
_RESERVED = ("microsoft", "windows")
# The managed group of student ada would be the group of student ada-databricks.
_MANAGED = "databricks"


def id_rule(length: tuple[int, int]) -> str:
    """The rule for a course's or a student's id, in words."""
    return (
        f"it must be {length[0]} to {length[1]} lower-case letters, digits and single dashes, start with a letter and "
        "not end with a dash or with 'databricks' (Azure names are made from it)"
    )


def is_valid_id(text: str, length: tuple[int, int]) -> bool:
    """Whether each name that is derived from this id is one that Azure takes."""
    return bool(
        length[0] <= len(text) <= length[1]
        and _ID.fullmatch(text)
        and not text.endswith(_MANAGED)
        # The storage account's name has no dashes.
        and not any(word in text.replace("-", "") for word in _RESERVED)
    )


@dataclass(frozen=True)
class Names:
    """All names of one student's lab; `student` and `course` must satisfy `is_valid_id`."""

    subscription: str
    course: str
    student: str

    @property
    def unique(self) -> str:
        """8 hexadecimal digits that differ between subscriptions, courses and students."""
        identity = "/".join((self.subscription.lower(), self.course, self.student))
        return hashlib.sha256(identity.encode()).hexdigest()[:8]

    @property
    def _owner(self) -> str:
        return f"{self.course}-{self.student}"

    @property
    def resource_group(self) -> str:
        """Unique in the subscription."""
        return f"rg-{self._owner}"

    @property
    def managed_resource_group(self) -> str:
        """The group that the workspace creates for its own machines; unique in the subscription."""
        return f"{self.resource_group}-{_MANAGED}"

    @property
    def managed_resource_group_id(self) -> str:
        """ARM id of the managed resource group."""
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.managed_resource_group}"

    @property
    def namespace(self) -> str:
        """Event Hubs namespace; unique in the world, 6-50 characters."""
        return f"evhns-{self._owner}-{self.unique}"

    @property
    def hub(self) -> str:
        """Event hub; unique in its namespace."""
        return "events"

    @property
    def consumer_group(self) -> str:
        """Consumer group of the hub, for the lab's own reader."""
        return "streaming-lab"

    @property
    def storage_account(self) -> str:
        """Unique in the world, 3-24 lower-case letters and digits."""
        return f"st{self.student.replace('-', '')[:14]}{self.unique}"

    @property
    def container(self) -> str:
        """Blob container; unique in its account."""
        return "lab"

    @property
    def root(self) -> str:
        """URL of the container, without a final slash."""
        return f"abfss://{self.container}@{self.storage_account}.dfs.core.windows.net"

    @property
    def workspace(self) -> str:
        """Databricks workspace; unique in its group."""
        return f"dbw-{self._owner}"

    @property
    def access_connector(self) -> str:
        """Access connector for Databricks; unique in its group."""
        return f"dbac-{self._owner}"

    @property
    def budget(self) -> str:
        """Budget; unique in the subscription."""
        return f"budget-{self._owner}"

    @property
    def metastore_object(self) -> str:
        """Storage credential and external location; unique in the metastore, which a whole region shares."""
        return f"lab-{self._owner}-{self.unique}"

    @property
    def workspace_object(self) -> str:
        """Secret scope, cluster policy and cluster; unique in the workspace."""
        return f"streaming-lab-{self.student}"

    @property
    def home(self) -> str:
        """The lab's folder in the workspace."""
        return f"/Shared/streaming-lab/{self.student}"

    @property
    def control(self) -> str:
        """The workspace folder for progress and stop requests."""
        return f"{self.home}/control"

    @property
    def notebooks(self) -> str:
        """The workspace folder with the student's notebooks."""
        return f"{self.home}/notebooks"
