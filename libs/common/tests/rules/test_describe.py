"""A rule reads as a sentence, in both languages."""

from typing import Any
from uuid import UUID

import pytest

from perennial.common import rules

VIP = "0190d4c2-7d1c-7b51-9a2e-111111111111"
SAID: list[tuple[dict[str, Any], str, str]] = [
    ({"everyone": True}, "anyone is asked about", "对象为任何人"),
    ({"trait": "plan", "is": "pro"}, "plan is “pro”", "plan 为 “pro”"),
    ({"trait": "plan", "not_in": ["a", 5, True]}, "plan is none of “a”, 5, true", "plan 不在 “a”、5、真 之中"),
    ({"trait": "plan", "exists": False}, "plan is unknown", "plan 无值"),
    ({"trait": "age", "gte": 18}, "age is at least 18", "age 至少为 18"),
    ({"trait": "at", "before": "2026-01-01"}, "at is before 2026-01-01", "at 早于 2026-01-01"),
    ({"trait": "at", "before": "P1D"}, "at is 1 day ago or longer", "at 距今已满 1 天"),
    ({"trait": "at", "within_next": "P1DT2H"}, "at is within the next 1 day 2 hours", "at 在未来 1 天 2 小时内"),
    ({"event": "Order Completed"}, "“Order Completed” happened", "“Order Completed” 发生过"),
    (
        {"event": "Order Completed", "count": {"eq": 0}, "within": "P30D"},
        "“Order Completed” within the last 30 days did not happen",
        "过去 30 天内的 “Order Completed” 未发生",
    ),
    (
        {"event": "Order Completed", "count": {"gte": 3}, "where": [{"property": "total", "gt": 50}]},
        "“Order Completed” where total is more than 50 happened at least 3 times",
        "满足total 大于 50的 “Order Completed” 的次数至少 3",
    ),
    (
        {"event": "Order Completed", "sum": {"property": "revenue", "gte": 0.5, "lt": 9}},
        "the sum of revenue over “Order Completed” is at least 0.5 and less than 9",
        "“Order Completed” 的 revenue 之和至少 0.5且小于 9",
    ),
    (
        {"event": "Order Completed", "last": {"before": "P60D"}},
        "the last “Order Completed” is 60 days ago or longer",
        "最近一次 “Order Completed” 距今已满 60 天",
    ),
    ({"random": {"salt": "x", "lt": 20}}, "the random number from 0 to 99 for “x” is less than 20",
     "“x” 的随机数（0 至 99）小于 20"),
    (
        {"all": [{"any": [{"everyone": True}, {"trait": "a", "is": 1}]}, {"not": {"segment": VIP}}]},
        "(anyone is asked about or a is 1) and not (the customer is in segment “Very Important”)",
        "（对象为任何人，或a 为 1），且并非（客户属于分群 “Very Important”）",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("document", "english", "chinese"), SAID, ids=lambda part: str(part)[:50])
def test_a_rule_reads_as_a_sentence(document: dict[str, Any], english: str, chinese: str) -> None:
    rule, names = rules.parse(document), {UUID(VIP): "Very Important"}
    assert rules.describe(rule, segments=names) == f"Holds when {english}."
    assert rules.describe(rule, "zh", segments=names) == f"当{chinese}时成立。"


def test_a_segment_without_a_name_shows_its_id() -> None:
    assert rules.describe(rules.parse({"segment": VIP})) == f"Holds when the customer is in segment {VIP}."


def test_braces_and_spaces_in_names_are_only_text() -> None:
    rule = rules.parse({"event": "{x}  {event}", "where": [{"property": "{it}", "is": "{0}  {x}"}]})
    assert rules.describe(rule) == "Holds when “{x}  {event}” where {it} is “{0}  {x}” happened."
