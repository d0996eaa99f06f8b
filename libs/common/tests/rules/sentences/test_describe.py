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
    ({"tag": "vip"}, "the customer has the tag “vip”", "客户有标签 “vip”"),
    ({"trait": "tags[]", "is_not": "vip"}, "the customer does not have the tag “vip”", "客户没有标签 “vip”"),
    ({"stage": "loyal"}, "the customer is in the stage “loyal”", "客户处于阶段 “loyal”"),
    ({"trait": "age", "between": [18, 30]}, "age is from 18 to 30", "age 为 18 至 30"),
    (
        {"trait": "at", "between": ["2026-01-01", "2026-02-01"]},
        "at is from 2026-01-01 until before 2026-02-01",
        "at 自 2026-01-01 起、早于 2026-02-01",
    ),
    ({"trait": "due", "within": {"next": "month"}}, "due is within next month", "due 在下月之内"),
    ({"trait": "born", "birthday_within": 0}, "born comes round today", "born 的周年日为今天"),
    ({"trait": "born", "birthday_within": 7}, "born comes round within 7 days", "born 的周年日在 7 天之内"),
    (
        {"trait": "home", "near": {"latitude": 31.23, "longitude": 121.5, "km": 5}},
        "home is within 5 km of 31.23, 121.5",
        "home 距 31.23, 121.5 不超过 5 公里",
    ),
    (
        {"any_of": "cars", "where": [{"property": "make", "is": "BYD"}, {"property": "year", "gte": 2024}]},
        "one of cars has (make is “BYD” and year is at least 2024)",
        "cars 中有一项满足（make 为 “BYD”且year 至少为 2024）",
    ),
    (
        {"event": "Order", "within": {"this": "month", "count": 3}, "distinct": {"property": "city", "gte": 2}},
        "the number of different city over “Order” within the 3 calendar months up to the current one is at least 2",
        "截至当前的 3 个自然月内的 “Order” 的不同 city 个数至少 2",
    ),
    (
        {"event": "Cart", "within": {"last": "day"}, "not_followed_by": {"event": "Order", "within": "P1D"}},
        "“Cart” within yesterday not followed within 1 day by “Order” happened",
        "之后 1 天内没有“Order” 的 昨天内的 “Cart” 发生过",
    ),
    (
        {"sequence": [{"event": "a"}, {"event": "b", "within": "P1D"}], "span": "P7D"},
        "these happened one after the other: “a”, then within 1 day “b”, from first to last at most 7 days",
        "依次发生了：“a”，然后 1 天之内 “b”，首尾相距不超过 7 天",
    ),
    (
        {"sequence": [{"event": "Cart"}, {"event": "Order"}], "within": {"last": "week", "count": 2}},
        "these happened one after the other: “Cart”, then “Order”, all within the last 2 whole weeks",
        "依次发生了：“Cart”，然后 “Order”，均在此前 2 个完整自然周之内",
    ),
    (
        {"sequence": [{"event": "a"}, {"event": "b"}], "within": "P30D"},
        "these happened one after the other: “a”, then “b”, all within the last 30 days",
        "依次发生了：“a”，然后 “b”，均在过去 30 天内",
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


@pytest.mark.parametrize(("document", "english", "chinese"), SAID, ids=lambda part: str(part)[:50])
def test_a_sentence_reads_as_its_rule(document: dict[str, Any], english: str, chinese: str) -> None:
    rule, names = rules.parse(document), {"Very Important": UUID(VIP)}
    assert rules.parse_sentence(f"Holds when {english}.", segments=names) == rule
    assert rules.parse_sentence(f" 当{chinese}时成立。", "zh", segments=names) == rule


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        ("", "must be a sentence such as Holds when …."),
        ("plan is “pro”", "must be a sentence"),
        ("Holds when plan is “pro” or.", "cannot be read from “ or” on"),
        ("Holds when plan is pro.", "cannot be read from “pro” on"),
        ("Holds when the customer is in segment “Unknown”.", "cannot be read from “”"),
        ("Holds when " + "not (" * 3000 + ".", "less deeply"),
        ("Holds when " + "x" * 20_000 + ".", "at most 20000 characters"),
        ("Holds when age is within the last 0 seconds.", "longer than zero"),
    ],
)
def test_what_is_no_sentence_is_refused(sentence: str, message: str) -> None:
    with pytest.raises(rules.RuleError) as refused:
        rules.parse_sentence(sentence)
    assert message in refused.value.message


def test_a_segment_without_a_name_shows_its_id() -> None:
    assert rules.describe(rules.parse({"segment": VIP})) == f"Holds when the customer is in segment {VIP}."


def test_braces_and_spaces_in_names_are_only_text() -> None:
    rule = rules.parse({"event": "{x}  {event}", "where": [{"property": "{it}", "is": "{0}  {x}"}]})
    assert rules.describe(rule) == "Holds when “{x}  {event}” where {it} is “{0}  {x}” happened."


def test_a_long_sentence_is_read_in_time() -> None:
    parts: list[dict[str, Any]] = [{"trait": f"t{n}", "in": [f"”a{n}, ", n]} for n in range(150)]
    parts += [{"event": "E", "where": [{"property": "a b", "is": n}, {"property": "b", "is": 1}]} for n in range(40)]
    for document in ({"all": parts}, {"trait": "n", "in": list(range(1000))}):
        rule = rules.parse(document)
        assert rules.parse_sentence(rules.describe(rule)) == rule
        assert rules.parse_sentence(rules.describe(rule, "zh"), "zh") == rule
    for bomb in ("(" * 900 + "x", "one of x has (" * 50, "“a” where " * 2000, "a is 1 and " * 1500, "“" * 15_000):
        with pytest.raises(rules.RuleError):
            rules.parse_sentence(f"Holds when {bomb}.")
