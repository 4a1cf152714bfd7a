"""Refusals, in the words of the services."""

from typing import Any


class CloudError(Exception):
    """A request that a service refuses.

    status: HTTP status; code: the service's own code; message: its own text.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def body(self) -> dict[str, Any]:
        """The body of the HTTP answer, in the service's own form."""
        raise NotImplementedError


class AzureError(CloudError):
    """A refusal of Azure Resource Manager or of one of its resource providers."""

    def __init__(self, status: int, code: str, message: str, retry_after: int | None = None) -> None:
        super().__init__(status, code, message)
        self.retry_after = retry_after

    def __str__(self) -> str:
        # The form in which the azure-native provider shows a refusal.
        return f'Status={self.status} Code="{self.code}" Message="{self.message}"'

    def body(self) -> dict[str, Any]:
        """`{"error": {"code", "message"}}`."""
        return {"error": {"code": self.code, "message": self.message}}


class DatabricksError(CloudError):
    """A refusal of the Databricks REST API."""

    def body(self) -> dict[str, Any]:
        """`{"error_code", "message", "details"}`."""
        return {"error_code": self.code, "message": self.message, "details": []}
