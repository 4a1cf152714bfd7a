"""The refusals of the workspace API that more than one group gives."""

from localcloud.errors import DatabricksError


def invalid(message: str) -> DatabricksError:
    """400 INVALID_PARAMETER_VALUE."""
    return DatabricksError(400, "INVALID_PARAMETER_VALUE", message)


def denied(message: str) -> DatabricksError:
    """403 PERMISSION_DENIED."""
    return DatabricksError(403, "PERMISSION_DENIED", message)


def missing(message: str) -> DatabricksError:
    """404 RESOURCE_DOES_NOT_EXIST."""
    return DatabricksError(404, "RESOURCE_DOES_NOT_EXIST", message)


def exists(message: str, status: int = 400) -> DatabricksError:
    """RESOURCE_ALREADY_EXISTS."""
    return DatabricksError(status, "RESOURCE_ALREADY_EXISTS", message)


def unsupported(what: str) -> DatabricksError:
    """400 for a part of the service that this machine does not have."""
    return invalid(f"{what} is not supported by the local workspace.")


def wrong_state(cluster_id: str, state: str) -> DatabricksError:
    """400 INVALID_STATE, on which clients wait and try again (databricks/cli#1372)."""
    return DatabricksError(400, "INVALID_STATE", f"Cluster {cluster_id} is in unexpected state {state.capitalize()}.")
