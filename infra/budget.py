"""The budget and its alerts. A budget never stops anything by itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypedDict

import pulumi
from pulumi import ResourceOptions
from pulumi_azure_native import consumption

from infra.stack import Lab


class BudgetArgs(TypedDict):
    """What to watch."""

    lab: Lab
    """Configuration and names."""


class Budget(pulumi.ComponentResource):
    """A monthly budget over the lab's group and the workspace's managed group, where the machines are."""

    def __init__(self, name: str, args: BudgetArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("lab:infra:Budget", name, {}, opts)
        config, names = args["lab"].config, args["lab"].names
        # Azure never changes a budget's start. Without a configured one, the month of the first deployment stays in
        # the stack's state; a configured one that changes makes a new budget.
        start = config.budget_start or datetime.now(UTC).date().replace(day=1)
        pinned = (
            ResourceOptions(replace_on_changes=["timePeriod.startDate"], delete_before_replace=True)
            if config.budget_start
            else ResourceOptions(ignore_changes=["timePeriod"])
        )
        consumption.Budget(
            # A budget of another name is another one, with a start of its own.
            names.budget,
            scope=f"/subscriptions/{names.subscription}",
            budget_name=names.budget,
            category=consumption.CategoryType.COST,
            amount=config.budget_amount,
            time_grain=consumption.TimeGrainType.MONTHLY,
            time_period={"start_date": f"{start.isoformat()}T00:00:00Z"},
            filter={
                "dimensions": {
                    "name": "ResourceGroupName",
                    "operator": consumption.BudgetOperatorType.IN_,
                    "values": [names.resource_group, names.managed_resource_group],
                }
            },
            notifications={
                key: {
                    "enabled": True,
                    "operator": consumption.OperatorType.GREATER_THAN_OR_EQUAL_TO,
                    "threshold": threshold,
                    "threshold_type": kind,
                    "contact_emails": [config.owner_email],
                }
                for key, threshold, kind in (
                    ("actual50", 50, consumption.ThresholdType.ACTUAL),
                    ("actual90", 90, consumption.ThresholdType.ACTUAL),
                    ("forecast100", 100, consumption.ThresholdType.FORECASTED),
                )
            },
            opts=ResourceOptions.merge(ResourceOptions(parent=self), pinned),
        )
        self.register_outputs({})
