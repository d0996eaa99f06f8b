"""The presets: the stages of a customer's life, and every group that RFM knows.

The stages are a partition: whoever has an identifier is in exactly one of them at each moment. They count orders as
they were completed; what RFM says is net of what came back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from perennial.common.commerce import ORDER_COMPLETED
from perennial.segments.rfm.names import KINDS, NAMES

Kind = Literal["stage", "habit", "rfm"]


@dataclass(frozen=True)
class Preset:
    """A rule with its name in English and in Chinese."""

    key: str
    kind: Kind
    en: str
    zh: str
    rule: Mapping[str, Any]


def _orders(**measure: Any) -> dict[str, Any]:
    return {"event": ORDER_COMPLETED, **measure}


def _settled(*rules: dict[str, Any]) -> dict[str, Any]:
    """Of those whose first order is longer ago than a new customer's."""
    return {"all": [_orders(first={"before": "P30D"}), *rules]}


_STAGES = (
    Preset("stage_prospect", "stage", "Prospects: no order yet", "潜在客户", _orders(count={"eq": 0})),
    Preset("stage_new", "stage", "New: first order within 30 days", "新客户", _orders(first={"after": "P30D"})),
    Preset(
        "stage_active", "stage", "Active: an order within 90 days", "活跃客户",
        _settled(_orders(last={"after": "P90D"})),
    ),
    Preset(
        "stage_at_risk", "stage", "At risk: the last order 90 to 180 days ago", "流失预警客户",
        _settled(_orders(last={"before": "P90D"}), _orders(last={"after": "P180D"})),
    ),
    Preset(
        "stage_sleeping", "stage", "Sleeping: the last order 180 to 365 days ago", "沉睡客户",
        _settled(_orders(last={"before": "P180D"}), _orders(last={"after": "P365D"})),
    ),
    Preset(
        "stage_lost", "stage", "Lost: no order for 365 days", "流失客户", _settled(_orders(last={"before": "P365D"}))
    ),
)  # fmt: skip
_HABITS = (
    Preset("habit_one_order", "habit", "Bought exactly once", "单次购买客户", _orders(count={"eq": 1})),
    Preset("habit_repeat", "habit", "Bought at least twice", "复购客户", _orders(count={"gte": 2})),
    Preset(
        "habit_frequent", "habit", "At least 3 orders within 90 days", "高频客户",
        _orders(count={"gte": 3}, within="P90D"),
    ),
    Preset(
        "habit_cart_left", "habit", "Put into the cart and did not buy within 7 days", "加购未购客户",
        {"all": [{"event": "Product Added", "within": "P7D"}, _orders(count={"eq": 0}, within="P7D")]},
    ),
)  # fmt: skip
_RFM = tuple(
    Preset(f"rfm_{by}_{key}", "rfm", f"RFM {by}: {en}", f"RFM：{zh}", {"trait": f"rfm.{by}", "is": key})
    for by in KINDS
    for key, (en, zh) in NAMES[by].items()
)
PRESETS = (*_STAGES, *_HABITS, *_RFM)
