"""Which containers a cluster may use, and the conf and environment that it starts with."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from localcloud.arm import Container
from localcloud.errors import CloudError
from localcloud.settings import Settings
from localcloud.storage import folder
from localcloud.workspace import cluster_spec
from localcloud.workspace.people import Caller
from localcloud.workspace.secrets import Secrets
from localcloud.workspace.shelf import Record

_REFERENCE = re.compile(r"\{\{secrets/([\w.@-]+)/([\w.@-]+)\}\}")
_ACCOUNT_KEY = re.compile(r"(?:spark\.hadoop\.)?fs\.azure\.account\.key\.([a-z0-9]+)\.dfs\.core\.windows\.net")
# The local driver sets its own master; the profile has no meaning outside Databricks.
_NOT_FOR_SPARK = ("spark.master", "spark.databricks.cluster.profile")


class StartError(Exception):
    """A cluster that does not start. code: Databricks' termination code; the text is the message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def resolve(values: dict[str, str], secrets: Secrets, reader: Caller) -> dict[str, str]:
    """Replace `{{secrets/scope/key}}`; raises StartError when a secret is missing or the reader may not read it."""

    def secret(match: re.Match[str]) -> str:
        try:
            return secrets.get(match[1], match[2], reader).decode()
        except CloudError as refusal:
            code = "SECRET_PERMISSION_DENIED" if refusal.status == 403 else "SECRET_RESOLUTION_ERROR"
            raise StartError(code, f"Could not resolve {match[0]}: {refusal.message}") from None

    return {name: _REFERENCE.sub(secret, value) for name, value in values.items()}


def for_spark(conf: dict[str, str]) -> dict[str, str]:
    """The conf without account keys, which the mounts stand for, and without what the driver decides."""
    return {
        name: value for name, value in conf.items() if name not in _NOT_FOR_SPARK and not _ACCOUNT_KEY.fullmatch(name)
    }


def mounts(
    spec: Record,
    conf: dict[str, str],
    settings: Settings,
    containers: Callable[[], Iterable[Container]],
    usable: Callable[[str], set[tuple[str, str]]],
) -> dict[str, Path]:
    """Folders by `container@account.dfs.core.windows.net`.

    A cluster sees every container of an account whose valid key is in its conf (resolved), and the container of each
    external location that its user may read and write.

    usable: (account, container) of those locations, for a user name
    """
    keys = {match[1]: value for name, value in conf.items() if (match := _ACCOUNT_KEY.fullmatch(name))}
    by_identity: set[tuple[str, str]] = set()
    # Clusters without an access mode know nothing of Unity Catalog.
    if cluster_spec.access_mode(spec) != "NONE":
        user = spec.get("single_user_name") or spec["creator_user_name"]
        by_identity = usable(user)
    return {
        f"{item.name}@{item.account}.dfs.core.windows.net": folder(settings, item.account, item.name)
        for item in containers()
        if keys.get(item.account) in item.account_keys or (item.account, item.name) in by_identity
    }
