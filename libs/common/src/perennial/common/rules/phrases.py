"""The words of the two languages that rules are printed in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "zh"]


@dataclass(frozen=True, slots=True)
class Words:
    """Templates; `{it}` is the trait or property, `{x}` the operand, `{event}` an event with its conditions."""

    sentence: str
    conjunction: str
    disjunction: str
    negation: str
    group: str
    comma: str
    quote: str
    everyone: str
    segment: str
    bucket: str
    known: tuple[str, str]
    truth: tuple[str, str]
    operators: Mapping[str, str]
    ago: Mapping[str, str]
    units: tuple[tuple[str, str], ...]
    bounds: Mapping[str, str]
    bound_join: str
    where: str
    where_join: str
    within: str
    happened: str
    never: str
    count: tuple[str, str]
    measures: Mapping[str, str]
    moments: Mapping[str, str]


ENGLISH = Words(
    sentence="Holds when {x}.",
    conjunction=" and ",
    disjunction=" or ",
    negation="not ({x})",
    group="({x})",
    comma=", ",
    quote="“{x}”",
    everyone="anyone is asked about",
    segment="the customer is in segment {x}",
    bucket="the random number from 0 to 99 for {salt} is {x}",
    known=("{it} is known", "{it} is unknown"),
    truth=("true", "false"),
    operators={
        "is": "{it} is {x}",
        "is_not": "{it} is not {x}",
        "in": "{it} is one of {x}",
        "not_in": "{it} is none of {x}",
        "contains": "{it} contains {x}",
        "not_contains": "{it} does not contain {x}",
        "starts_with": "{it} starts with {x}",
        "ends_with": "{it} ends with {x}",
        "matches": "{it} matches {x}",
        "gt": "{it} is more than {x}",
        "gte": "{it} is at least {x}",
        "lt": "{it} is less than {x}",
        "lte": "{it} is at most {x}",
        "before": "{it} is before {x}",
        "after": "{it} is on or after {x}",
        "within_last": "{it} is within the last {x}",
        "within_next": "{it} is within the next {x}",
    },
    ago={"before": "{it} is {x} ago or longer", "after": "{it} is less than {x} ago or to come"},
    units=(("day", "days"), ("hour", "hours"), ("minute", "minutes"), ("second", "seconds")),
    bounds={
        "eq": "exactly {x}",
        "gt": "more than {x}",
        "gte": "at least {x}",
        "lt": "less than {x}",
        "lte": "at most {x}",
    },
    bound_join=" and ",
    where="{event} where {x}",
    where_join=" and ",
    within="{event} within the last {x}",
    happened="{event} happened",
    never="{event} did not happen",
    count=("{event} happened {x} time", "{event} happened {x} times"),
    measures={
        "sum": "the sum of {of} over {event} is {x}",
        "average": "the average of {of} over {event} is {x}",
        "min": "the least {of} over {event} is {x}",
        "max": "the greatest {of} over {event} is {x}",
    },
    moments={"first": "the first {event}", "last": "the last {event}"},
)

CHINESE = Words(
    sentence="当{x}时成立。",
    conjunction="，且",
    disjunction="，或",
    negation="并非（{x}）",
    group="（{x}）",
    comma="、",
    quote="“{x}”",
    everyone="对象为任何人",
    segment="客户属于分群 {x}",
    bucket="{salt} 的随机数（0 至 99）{x}",
    known=("{it} 有值", "{it} 无值"),
    truth=("真", "假"),
    operators={
        "is": "{it} 为 {x}",
        "is_not": "{it} 不为 {x}",
        "in": "{it} 为 {x} 之一",
        "not_in": "{it} 不在 {x} 之中",
        "contains": "{it} 包含 {x}",
        "not_contains": "{it} 不包含 {x}",
        "starts_with": "{it} 以 {x} 开头",
        "ends_with": "{it} 以 {x} 结尾",
        "matches": "{it} 匹配 {x}",
        "gt": "{it} 大于 {x}",
        "gte": "{it} 至少为 {x}",
        "lt": "{it} 小于 {x}",
        "lte": "{it} 至多为 {x}",
        "before": "{it} 早于 {x}",
        "after": "{it} 不早于 {x}",
        "within_last": "{it} 在过去 {x}内",
        "within_next": "{it} 在未来 {x}内",
    },
    ago={"before": "{it} 距今已满 {x}", "after": "{it} 距今不足 {x}或在将来"},
    units=(("天", "天"), ("小时", "小时"), ("分钟", "分钟"), ("秒", "秒")),
    bounds={"eq": "等于 {x}", "gt": "大于 {x}", "gte": "至少 {x}", "lt": "小于 {x}", "lte": "至多 {x}"},
    bound_join="且",
    where="满足{x}的 {event}",
    where_join="且",
    within="过去 {x}内的 {event}",
    happened="{event} 发生过",
    never="{event} 未发生",
    count=("{event} 的次数{x}", "{event} 的次数{x}"),
    measures={
        "sum": "{event} 的 {of} 之和{x}",
        "average": "{event} 的 {of} 平均值{x}",
        "min": "{event} 的 {of} 最小值{x}",
        "max": "{event} 的 {of} 最大值{x}",
    },
    moments={"first": "首次 {event}", "last": "最近一次 {event}"},
)

WORDS: dict[Language, Words] = {"en": ENGLISH, "zh": CHINESE}
