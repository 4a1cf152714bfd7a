"""What the components have in common: configuration, names and the files for the workspace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env
from pulumi_azure_native import authorization

from infra import content
from infra.config import NAMESPACE, ConfigError, LabConfig
from infra.naming import Names


@dataclass(frozen=True)
class Lab:
    """One student's lab."""

    config: LabConfig
    names: Names
    content: content.Content


def load(root: Path) -> Lab:
    """Read everything that can be wrong before anything is created; raises RunError, a sentence for each thing.

    root: the checkout, with the sources of the wheel and the notebooks
    """
    # pulumi.Config answers for one known key: unknown keys only show in the whole mapping.
    settings = {**get_config_env(), **CONFIG.get()}
    prefix = f"{NAMESPACE}:"
    own = {key.removeprefix(prefix): value for key, value in settings.items() if key.startswith(prefix)}
    try:
        config = LabConfig.load(own)
        files = content.read(root)
    except (ConfigError, content.ContentError) as error:
        raise pulumi.RunError(str(error)) from None
    # Not an output: the names made from it must be known before anything is created.
    subscription = authorization.get_client_config().subscription_id
    return Lab(config, Names(subscription, config.course, config.student), files)
