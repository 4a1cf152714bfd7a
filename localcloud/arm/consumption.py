"""Microsoft.Consumption: budgets (azure-rest-api-specs consumption; azure-mgmt-consumption's docstrings)."""

import uuid
from datetime import date
from typing import Any

from localcloud.arm import names
from localcloud.arm.ids import ResourceId
from localcloud.arm.kind import Kind
from localcloud.arm.world import Document, World
from localcloud.errors import AzureError

BUDGET = "Microsoft.Consumption/budgets"

_FIRST_START = date(2017, 6, 1)
_MONTHS = {"Monthly": 1, "Quarterly": 3, "Annually": 12, "BillingMonth": 1, "BillingQuarter": 3, "BillingAnnual": 12}
_NOTIFICATIONS_AT_MOST = 5
_EMAILS_AT_MOST = 50


def _refused(message: str) -> AzureError:
    # The service puts the status in the code's place.
    return AzureError(400, "400", message)


class BudgetKind(Kind):
    """A budget with alerts; it never stops anything by itself."""

    type = BUDGET

    def check_name(self, rid: ResourceId) -> None:
        """1-63 letters, digits, `_` and `-`."""
        names.check_name(rid.name, "budget", r"[A-Za-z0-9_-]+", (1, 63), "letters, digits, '_' and '-'")

    def put(self, world: World, rid: ResourceId, body: Document, old: Document | None) -> Document:
        """The start is the first of a month, and never changes."""
        properties = dict(body.get("properties", {}))
        if properties.get("category") != "Cost":
            raise _refused(f"The category '{properties.get('category')}' of a budget must be Cost.")
        amount = float(properties.get("amount", 0))
        if amount < 1:
            raise _refused(f"The amount {amount:g} of a budget must be at least 1.")
        grain = str(properties.get("timeGrain"))
        if grain not in _MONTHS:
            raise _refused(f"The timeGrain '{grain}' must be Monthly, Quarterly or Annually.")
        start = _day((properties.get("timePeriod") or {}).get("startDate"), "startDate")
        if old:
            if start != _day(old["properties"]["timePeriod"]["startDate"], "startDate"):
                raise _refused("Start date of budgets cannot be updated. Please delete and create a new budget.")
            if "eTag" in body and body["eTag"] != old["eTag"]:
                raise _refused("The eTag of the budget is stale: read it again before changing it.")
        else:
            _check_start(start, grain, world.today())
        _check_notifications(properties.get("notifications") or {})
        end = properties["timePeriod"].get("endDate")
        if end is None:
            # The service's default: ten years.
            end = f"{start.year + 10}-{start.month:02}-{start.day:02}T00:00:00Z"
        elif _day(end, "endDate") <= start:
            raise _refused(f"The endDate {end} of a budget must be after its startDate {start.isoformat()}.")
        return {
            "eTag": f'"{uuid.uuid4().hex[:16]}"',
            "properties": {
                **properties,
                "amount": amount,
                "timePeriod": {"startDate": f"{start.isoformat()}T00:00:00Z", "endDate": end},
                "currentSpend": {"amount": 0.0, "unit": "USD"},
            },
        }


def _day(text: Any, name: str) -> date:
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        raise _refused(f"The {name} '{text}' of a budget is not a date such as 2026-01-01T00:00:00Z.") from None


def _check_start(start: date, grain: str, today: date) -> None:
    if start.day != 1:
        raise _refused(f"The startDate {start.isoformat()} of a budget must be the first day of a month.")
    if start < _FIRST_START:
        raise _refused(f"The startDate {start.isoformat()} of a budget must not be before {_FIRST_START.isoformat()}.")
    month, current = start.year * 12 + start.month - 1, today.year * 12 + today.month - 1
    if month > current + 12:
        raise _refused(f"The startDate {start.isoformat()} of a budget must not be more than twelve months ahead.")
    # A start in the past is taken only inside the current period, for example the current quarter.
    size = _MONTHS[grain]
    if month < current // size * size:
        raise _refused(
            f"The startDate {start.isoformat()} of a budget must not lie before the current period of its "
            f"timeGrain {grain}."
        )


def _check_notifications(notifications: dict[str, Any]) -> None:
    if len(notifications) > _NOTIFICATIONS_AT_MOST:
        raise _refused(
            f"A budget has {len(notifications)} notifications: at most {_NOTIFICATIONS_AT_MOST} are allowed."
        )
    for name, one in notifications.items():
        threshold = float(one.get("threshold", -1))
        emails = one.get("contactEmails") or []
        if not 0 <= threshold <= 1000:
            raise _refused(f"The threshold {threshold:g} of notification '{name}' must be between 0 and 1000 percent.")
        if len(emails) > _EMAILS_AT_MOST:
            raise _refused(f"Notification '{name}' has {len(emails)} contactEmails: at most {_EMAILS_AT_MOST}.")
        if not emails and not one.get("contactGroups"):
            raise _refused(f"Notification '{name}' needs at least one of contactEmails or contactGroups.")
