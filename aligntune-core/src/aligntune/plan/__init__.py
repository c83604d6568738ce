"""The plan of a run: what `aligntune plan` prints and every trainer starts from."""

from __future__ import annotations

from aligntune.plan.load import load_plan
from aligntune.plan.plan import Plan, Value, make_plan
from aligntune.plan.resolved import plan_as_dict, resolved_values, save_resolved

__all__ = [
    "Plan",
    "Value",
    "load_plan",
    "make_plan",
    "plan_as_dict",
    "resolved_values",
    "save_resolved",
]
