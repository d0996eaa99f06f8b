"""The names of groups: what marketers call them, in English and in Chinese."""

from typing import Literal

By = Literal["group", "class", "quadrant", "cluster"]
KINDS: tuple[By, ...] = ("group", "class", "quadrant", "cluster")
HIGH_VALUE, POTENTIAL, NEW, SLEEPING, LOST = "high_value", "potential", "new", "sleeping", "lost"

NAMES: dict[By, dict[str, tuple[str, str]]] = {
    "group": {
        "champions": ("Champions", "冠军客户"),
        "loyal": ("Loyal customers", "忠诚客户"),
        "potential_loyalists": ("Potential loyalists", "潜在忠诚客户"),
        "new": ("New customers", "新客户"),
        "promising": ("Promising", "有希望客户"),
        "need_attention": ("Need attention", "需关注客户"),
        "about_to_sleep": ("About to sleep", "即将沉睡客户"),
        "cannot_lose": ("Cannot lose them", "不可流失客户"),
        "at_risk": ("At risk", "流失风险客户"),
        "hibernating": ("Hibernating", "休眠客户"),
        "lost": ("Lost", "流失客户"),
    },
    "class": {
        "important_value": ("Important: keep the value", "重要价值客户"),
        "important_development": ("Important: develop", "重要发展客户"),
        "important_retention": ("Important: keep in touch", "重要保持客户"),
        "important_winback": ("Important: win back", "重要挽留客户"),
        "general_value": ("General: keep the value", "一般价值客户"),
        "general_development": ("General: develop", "一般发展客户"),
        "general_retention": ("General: keep in touch", "一般保持客户"),
        "general_winback": ("General: win back", "一般挽留客户"),
    },
    "quadrant": {
        "high_value_high_activity": ("High value, active", "高价值高活跃"),
        "high_value_low_activity": ("High value, quiet", "高价值低活跃"),
        "low_value_high_activity": ("Low value, active", "低价值高活跃"),
        "low_value_low_activity": ("Low value, quiet", "低价值低活跃"),
    },
    "cluster": {
        HIGH_VALUE: ("High value", "高价值客户"),
        POTENTIAL: ("Potential", "潜力客户"),
        NEW: ("New", "新客户"),
        SLEEPING: ("Sleeping", "沉睡客户"),
        LOST: ("Lost", "流失客户"),
    },
}
