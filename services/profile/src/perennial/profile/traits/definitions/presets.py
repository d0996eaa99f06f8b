"""The reserved traits of the tracking protocol, as every shop has them until it says otherwise.

They give labels, types, groups and classes. A value that does not fit is kept as it came: a shop makes one of them
strict by defining it.
"""

from typing import Any

EMAIL = r"[^\s@]{1,64}@[^\s@]{1,255}"
GROUPS = (
    ("person", "Person", "个人"),
    ("contact", "Contact", "联系方式"),
    ("company", "Company", "公司"),
    ("account", "Account", "账户"),
    ("other", "Other", "其他"),
)
_RESERVED = """
    first_name   string    person   First_name     名
    last_name    string    person   Last_name      姓
    name         string    person   Name           姓名
    gender       string    person   Gender         性别
    birthday     date      person   Birthday       生日
    age          number    person   Age            年龄
    avatar       string    person   Picture        头像
    title        string    person   Title          职位
    description  string    person   Description    简介
    email        string    contact  E-mail         邮箱
    phone        string    contact  Phone          手机
    address      object    contact  Address        地址
    website      string    contact  Website        网站
    company      object    company  Company        公司
    industry     string    company  Industry       行业
    employees    number    company  Employees      员工数
    plan         string    account  Plan           套餐
    username     string    account  User_name      用户名
    id           string    account  Id             编号
    created_at   datetime  account  Customer_since 注册时间
"""
_MORE: dict[str, dict[str, Any]] = {
    "email": {"pattern": EMAIL, "max_length": 320},
    "phone": {"max_length": 32},
    "age": {"minimum": "0", "maximum": "150"},
    "employees": {"minimum": "0"},
}


def _presets() -> dict[str, dict[str, Any]]:
    found = {}
    for order, line in enumerate(_RESERVED.strip().splitlines()):
        key, kind, group, english, chinese = line.split()
        label = {"en": english.replace("_", " "), "zh": chinese}
        found[key] = {"key": key, "type": kind, "group": group, "order": order, "label": label, **_MORE.get(key, {})}
    return found


PRESETS = _presets()
"""Definitions (bodies of the API) by key."""
