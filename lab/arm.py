"""Azure Resource Manager's own view of what exists: the same few calls for both clouds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lab.errors import LabError

if TYPE_CHECKING:
    import httpx

# Any version that knows the type will do for GET; these are in all public regions.
API_VERSIONS = {
    "microsoft.resources": "2022-09-01",
    "microsoft.eventhub": "2024-01-01",
    "microsoft.storage": "2023-05-01",
    "microsoft.databricks": "2024-05-01",
    "microsoft.authorization": "2022-04-01",
    "microsoft.consumption": "2023-11-01",
}
GROUPS_API = API_VERSIONS["microsoft.resources"]

# The states in which an asynchronous operation of Azure ends (azure-resource-manager/management/async-operations).
_FINAL_STATES = ("Succeeded", "Failed", "Canceled")


class Arm:
    """A client for one subscription.

    base_url: `https://management.azure.com` or the local cloud's address
    token: gives a bearer token; asked before every request
    poll_seconds: pause between two looks at a deletion under way
    """

    def __init__(self, base_url: str, subscription: str, token: Callable[[], str], poll_seconds: float):
        import httpx

        self.subscription = subscription
        self._token = token
        self._poll_seconds = poll_seconds
        self._http = httpx.Client(base_url=base_url, timeout=60, trust_env=not base_url.startswith("http://127."))

    def get(self, resource_id: str) -> dict[str, Any] | None:
        """The resource with this ARM id, or None when the cloud has none."""
        response = self._request("GET", resource_id, _api_version(resource_id))
        return dict(response.json()) if response.status_code == 200 else None

    def created(self, resource_id: str, timeout: float = 1800) -> dict[str, Any] | None:
        """As `get`, for a resource that may still be under creation: waits for the end of it.

        timeout: seconds. None when there is no such resource, or its creation failed.
        """
        deadline = time.monotonic() + timeout
        while (resource := self.get(resource_id)) is not None:
            # Types without a state of their own, such as budgets, are created at once.
            state = (resource.get("properties") or {}).get("provisioningState", "Succeeded")
            if state in _FINAL_STATES:
                return resource if state == "Succeeded" else None
            if time.monotonic() > deadline:
                raise LabError(resource_id, "its creation has not ended yet", "Run lab up again in a few minutes.")
            time.sleep(self._poll_seconds)
        return None

    def exists(self, resource_id: str) -> bool:
        """Whether the cloud has the resource with this ARM id."""
        return self.get(resource_id) is not None

    def groups(self) -> list[dict[str, Any]]:
        """Every resource group of the subscription: `name`, `tags`, `managedBy`, …"""
        return list(self._pages(f"/subscriptions/{self.subscription}/resourcegroups"))

    def resources(self) -> list[dict[str, Any]]:
        """Every top-level resource of the subscription: `id`, `name`, `type`, `tags`, …"""
        return list(self._pages(f"/subscriptions/{self.subscription}/resources"))

    def put(self, path: str, body: Mapping[str, Any]) -> None:
        """Set what is at this path."""
        self._request("PUT", path, None, body)

    def delete(self, resource_id: str) -> None:
        """Delete the resource with this ARM id, which may be gone already; for types that Azure deletes at once."""
        self._request("DELETE", resource_id, _api_version(resource_id))

    def delete_group(self, name: str, timeout: float = 1800) -> bool:
        """Delete a resource group with everything in it and wait until it is gone.

        timeout: seconds. False when it was not there.
        """
        path = f"/subscriptions/{self.subscription}/resourcegroups/{name}"
        if self._request("DELETE", path, GROUPS_API).status_code == 404:
            return False
        deadline = time.monotonic() + timeout
        while self._request("GET", path, GROUPS_API).status_code != 404:
            if time.monotonic() > deadline:
                raise LabError(name, "its deletion has not ended yet", "Run lab down again in a few minutes.")
            time.sleep(self._poll_seconds)
        return True

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        response = self._request("GET", path, GROUPS_API)
        while True:
            # A list has no 404: a subscription that the cloud does not find must not pass for an empty one.
            if response.status_code != 200:
                raise LabError("azure", _refusal(response))
            page = response.json()
            yield from page.get("value", [])
            if not page.get("nextLink"):
                return
            response = self._request("GET", page["nextLink"], None)

    def _request(
        self, method: str, path: str, api_version: str | None, body: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        from httpx import HTTPError

        parameters = {"api-version": api_version} if api_version else None
        for attempt in range(5):
            try:
                headers = {"Authorization": f"Bearer {self._token()}"}
                response = self._http.request(method, path, params=parameters, headers=headers, json=body)
            except HTTPError as error:
                raise LabError("azure", f"{self._http.base_url} does not answer ({error})") from None
            if response.status_code != 429 or attempt == 4:
                break
            time.sleep(float(response.headers.get("Retry-After", "5")))
        if response.status_code in (200, 201, 202, 204, 404):
            return response
        raise LabError("azure", _refusal(response))


def _api_version(resource_id: str) -> str:
    """The API version for a resource id: that of its innermost provider."""
    provider = resource_id.lower().rpartition("/providers/")[2].partition("/")[0]
    return API_VERSIONS.get(provider, GROUPS_API)


def _refusal(response: httpx.Response) -> str:
    try:
        error = response.json()["error"]
        return f"{error['message']} ({error['code']})"
    except (ValueError, KeyError, TypeError):
        return f"{response.request.method} {response.request.url.path} answered {response.status_code}"
