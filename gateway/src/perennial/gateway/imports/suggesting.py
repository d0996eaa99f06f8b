"""What a column is, by its name."""

import re
from collections.abc import Sequence

from perennial.common.rules import trait_key
from perennial.gateway.imports.mapping import MOST_COLUMNS, Column, Mapping

_IDENTIFIERS = {
    "user_id": "user_id userid uid customer_id 用户id 客户id 会员编号 客户编号 用户编号",
    "member_id": "member_id memberid member_no card_no 会员号 会员id 会员卡号",
    "email": "email e_mail mail email_address 邮箱 电子邮箱 邮件 电子邮件",
    "phone": """phone phone_number mobile mobile_phone mobile_number tel telephone cell cellphone
        手机 手机号 手机号码 电话 联系电话""",
    "wechat_openid": "openid open_id wechat_openid 微信openid",
    "wechat_unionid": "unionid union_id wechat_unionid 微信unionid",
}
_TRAITS = {
    "name": "name full_name customer_name 姓名 名字 客户姓名 客户名称 会员姓名",
    "first_name": "first_name given_name firstname 名",
    "last_name": "last_name family_name lastname surname 姓",
    "nickname": "nickname nick_name 昵称",
    "gender": "gender sex 性别",
    "birthday": "birthday birth_date date_of_birth dob 生日 出生日期",
    "city": "city town 城市 所在城市",
    "region": "region province state 省 省份 地区",
    "country": "country 国家",
    "address": "address street 地址 详细地址 收货地址",
    "company": "company company_name organisation organization 公司 公司名称 单位",
    "created_at": "created_at signup_date registered_at 注册时间 注册日期 创建时间",
}
_DATES = frozenset({"birthday"})
_KINDS = {word: kind for kind, words in _IDENTIFIERS.items() for word in words.split()}
_KEYS = {word: key for key, words in _TRAITS.items() for word in words.split()}
_GAPS = re.compile(r"[^\w]+")


def suggested(header: Sequence[str]) -> Mapping | None:
    """A mapping of what is known by its name; the rest becomes traits under their own names."""
    columns: dict[str, Column] = {}
    for number, name in enumerate(header[:MOST_COLUMNS], 1):
        word = _GAPS.sub("_", trait_key(name.strip())).strip("_")
        if not word:
            continue
        column = _column(number, word)
        columns.setdefault(column.target, column)
    if not any(column.to == "identifier" for column in columns.values()):
        return None
    return Mapping(columns=list(columns.values()))


def _column(number: int, word: str) -> Column:
    if word in _KINDS:
        return Column.model_validate({"column": number, "to": "identifier", "kind": _KINDS[word]})
    key = _KEYS.get(word, word[:200])
    return Column(column=number, to="trait", key=key, type="date" if key in _DATES else "string")
