"""The words of the two languages that rules are printed in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "zh"]
# A path of which a sentence shows where it ends.
PATH = re.compile(r"[^\s“”()（）,，、。]+")


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
    during: str
    between: tuple[str, str]
    calendar: Mapping[tuple[str, str], str]
    calendars: Mapping[str, str]
    calendar_units: Mapping[str, str]
    in_calendar: str
    birthday: tuple[str, str]
    near: str
    element: tuple[str, str]
    element_join: str
    sequence: str
    step: str
    step_within: str
    step_join: str
    sequence_within: str
    sequence_during: str
    sequence_span: str
    beside: Mapping[str, str]
    tag: tuple[str, str]
    stage: str


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
        "regex": "{it} fits the pattern {x}",
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
        "distinct": "the number of different {of} over {event} is {x}",
        "sum": "the sum of {of} over {event} is {x}",
        "average": "the average of {of} over {event} is {x}",
        "min": "the least {of} over {event} is {x}",
        "max": "the greatest {of} over {event} is {x}",
    },
    moments={"first": "the first {event}", "last": "the last {event}"},
    during="{event} within {x}",
    between=("{it} is from {x} to {y}", "{it} is from {x} until before {y}"),
    calendar={
        ("this", "day"): "today",
        ("last", "day"): "yesterday",
        ("next", "day"): "tomorrow",
        **{
            (kind, unit): f"{kind} {unit}"
            for kind in ("this", "last", "next")
            for unit in ("week", "month", "quarter", "year")
        },
    },
    calendars={
        "this": "the {n} calendar {units} up to the current one",
        "last": "the last {n} whole {units}",
        "next": "the next {n} whole {units}",
    },
    calendar_units={unit: f"{unit}s" for unit in ("day", "week", "month", "quarter", "year")},
    in_calendar="{it} is within {x}",
    birthday=("{it} comes round today", "{it} comes round within {n} days"),
    near="{it} is within {km} km of {latitude}, {longitude}",
    element=("one of {it} has {x}", "none of {it} has {x}"),
    element_join=" and ",
    sequence="these happened one after the other: {x}",
    step="{event}",
    step_within="within {x} {event}",
    step_join=", then ",
    sequence_within="{x}, all within the last {y}",
    sequence_during="{x}, all within {y}",
    sequence_span="{x}, from first to last at most {y}",
    beside={
        "followed_by": "{event} followed within {x} by {other}",
        "not_followed_by": "{event} not followed within {x} by {other}",
        "preceded_by": "{event} preceded within {x} by {other}",
        "not_preceded_by": "{event} not preceded within {x} by {other}",
    },
    tag=("the customer has the tag {x}", "the customer does not have the tag {x}"),
    stage="the customer is in the stage {x}",
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
        "regex": "{it} 符合正则表达式 {x}",
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
        "distinct": "{event} 的不同 {of} 个数{x}",
        "sum": "{event} 的 {of} 之和{x}",
        "average": "{event} 的 {of} 平均值{x}",
        "min": "{event} 的 {of} 最小值{x}",
        "max": "{event} 的 {of} 最大值{x}",
    },
    moments={"first": "首次 {event}", "last": "最近一次 {event}"},
    during="{x}内的 {event}",
    between=("{it} 为 {x} 至 {y}", "{it} 自 {x} 起、早于 {y}"),
    calendar={
        ("this", "day"): "今天",
        ("last", "day"): "昨天",
        ("next", "day"): "明天",
        ("this", "week"): "本周",
        ("last", "week"): "上周",
        ("next", "week"): "下周",
        ("this", "month"): "本月",
        ("last", "month"): "上月",
        ("next", "month"): "下月",
        ("this", "quarter"): "本季度",
        ("last", "quarter"): "上季度",
        ("next", "quarter"): "下季度",
        ("this", "year"): "今年",
        ("last", "year"): "去年",
        ("next", "year"): "明年",
    },
    calendars={"this": "截至当前的 {n} 个{units}", "last": "此前 {n} 个完整{units}", "next": "此后 {n} 个完整{units}"},
    calendar_units={
        "day": "自然日",
        "week": "自然周",
        "month": "自然月",
        "quarter": "自然季度",
        "year": "自然年",
    },
    in_calendar="{it} 在{x}之内",
    birthday=("{it} 的周年日为今天", "{it} 的周年日在 {n} 天之内"),
    near="{it} 距 {latitude}, {longitude} 不超过 {km} 公里",
    element=("{it} 中有一项满足{x}", "{it} 中没有一项满足{x}"),
    element_join="且",
    sequence="依次发生了：{x}",
    step="{event}",
    step_within="{x}之内 {event}",
    step_join="，然后 ",
    sequence_within="{x}，均在过去 {y}内",
    sequence_during="{x}，均在{y}之内",
    sequence_span="{x}，首尾相距不超过 {y}",
    beside={
        "followed_by": "之后 {x}内有{other} 的 {event}",
        "not_followed_by": "之后 {x}内没有{other} 的 {event}",
        "preceded_by": "之前 {x}内有{other} 的 {event}",
        "not_preceded_by": "之前 {x}内没有{other} 的 {event}",
    },
    tag=("客户有标签 {x}", "客户没有标签 {x}"),
    stage="客户处于阶段 {x}",
)

WORDS: dict[Language, Words] = {"en": ENGLISH, "zh": CHINESE}
