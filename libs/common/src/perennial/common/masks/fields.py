"""Which fields speak of a person, how sensitive each is, and who sees it in clear."""

import functools
import re
import unicodedata
from collections.abc import Collection, Iterable
from typing import Literal, NamedTuple

from perennial.common.auth import Principal

Sensitivity = Literal["public", "personal", "sensitive"]
EVERYTHING = "*"
CLASSES = frozenset({"personal", "sensitive"})
REVEAL = "customers:reveal"
LONGEST = 200  # of a name, its end counts

_PUBLIC = """
    age_group avatar_visible city company company_id country created_at currency customer_since description employees
    first_seen gender id industry language last_seen level lifecycle_stage locale member_level plan region rfm state
    tags tier timezone title website user_id anonymous_id previous_id member_id
"""
# Each also in the plural, with a number behind it (`phone2`) and, for those in _ENDINGS, with anything before it.
_SENSITIVE = """
    push_token device_token token device_id advertising_id idfa idfv gaid oaid imei imsi mac mac_address
    id_number national_id tax_id bank_account card_no credit_card debit_card iban password
    health religion ethnicity political_opinion biometric latitude longitude lat lng geo location coordinates
    微信 微信号 银行卡 银行卡号 护照 护照号
"""
_ENDINGS = """
    email e_mail mail email_address e_mail_address phone phone_number mobile mobile_phone mobile_number cell cellphone
    cell_phone telephone telephone_number tel fax whatsapp wechat wechat_id qq
    openid open_id unionid union_id wechat_openid wechat_unionid
    ip ip_address id_card id_card_number passport passport_number ssn social_security_number card_number bank_card
    手机 手机号 手机号码 电话 电话号码 邮箱 电子邮箱 邮件 身份证 身份证号 身份证号码
"""
# What class_of and, in a search, Postgres ask of a field's name: only what both dialects read alike.
SENSITIVE = rf"^({'|'.join(_SENSITIVE.split())}|(.*_)?({'|'.join(_ENDINGS.split())}))(s|es)?(_?[0-9]+)?$"
_sensitive = re.compile(SENSITIVE)

# In an event's properties only these names speak of a person: `name`, `address` or `token` may be a product's.
_PEOPLES = """
    first_name middle_name last_name full_name nickname username birthday birth_date birthdate date_of_birth
    recipient consignee shipping_address billing_address delivery_address home_address recipient_name
    recipient_address receiver_name receiver_address customer_name contact_name buyer_name user_name
    姓名 昵称 生日 出生日期 地址 收货地址 收件人 联系人
"""
PUBLIC, _ABOUT_PEOPLE = frozenset(_PUBLIC.split()), frozenset(_PEOPLES.split())
_ABOUT_GOODS = frozenset({"token", "tokens", "location", "locations", "geo", "mail", "health"})
# Objects of these names hold a person's traits, wherever in an event they stand.
PEOPLE = frozenset({"traits", "customer", "user", "buyer", "contact", "receiver", "shipping", "billing", "consignee"})
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\s.-]+")


class _Name(NamedTuple):
    field: str
    sensitivity: Sensitivity
    about_people: bool


@functools.lru_cache(maxsize=8192)
def _judged(name: str) -> _Name:
    field = _WORDS.sub("_", unicodedata.normalize("NFKC", name).strip()).lower()
    sensitive = _sensitive.match(field) is not None
    sensitivity: Sensitivity = "public" if field in PUBLIC else "sensitive" if sensitive else "personal"
    return _Name(field, sensitivity, field in _ABOUT_PEOPLE or (sensitive and field not in _ABOUT_GOODS))


def _judge(name: str) -> _Name:
    return _judged(name[-LONGEST:])  # what clients make up as names must not fill the memory


def snake(name: str) -> str:
    """One spelling of a field's name: `firstName`, `First Name` and `first_name` are the same field."""
    return _judge(name).field


def class_of(field: str) -> Sensitivity:
    """How sensitive a trait or a kind of identifier is; personal when nobody has said."""
    return _judge(field).sensitivity


def about_people(name: str) -> bool:
    """Whether a property of an event speaks of a person by its name."""
    return _judge(name).about_people


def covers(fields: Collection[str], field: str) -> bool:
    """Whether an allow-list shows all that an entry of another one shows."""
    if EVERYTHING in fields or field in fields:
        return True
    if field == EVERYTHING or field in CLASSES:
        return False
    return (sensitivity := class_of(field)) == "public" or sensitivity in fields or snake(field) in fields


def sees_all(principal: Principal) -> bool:
    """Whether nothing is masked for a principal."""
    return principal.kind == "customer" or EVERYTHING in principal.fields


def sees(principal: Principal, field: str) -> bool:
    """Whether a principal sees a trait or a kind of identifier in clear; the shop's own classes come first."""
    sensitivity = principal.classes.get(snake(field)) or class_of(field)
    return (
        sensitivity == "public" or sees_all(principal) or not principal.fields.isdisjoint({sensitivity, snake(field)})
    )


def sees_property(principal: Principal, name: str) -> bool:
    """Whether a principal sees a property of an event in clear, as far as its name tells."""
    return not about_people(name) or sees(principal, name)


def hidden(principal: Principal, fields: Iterable[str]) -> list[str]:
    """Those of the fields that the principal does not see in clear: it must not filter or sort by them either."""
    return sorted({field for field in fields if not sees(principal, field)})
