"""Who sees what in clear: an allow-list. What nobody allowed is shown masked, in every way out of a service.

A field is public, personal or sensitive. Public ones are always shown; the others to a principal whose `fields` name
the field, its class or `*`. Customers see themselves. A trait that nobody has classed is personal, so a new one is
never shown by accident; a property of an event is public unless its name, or what it looks like, says otherwise.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from perennial.common.auth import Principal

Sensitivity = Literal["public", "personal", "sensitive"]
EVERYTHING = "*"
CLASSES = frozenset({"personal", "sensitive"})
REVEAL = "customers:reveal"

_PUBLIC = """
    age_group avatar_visible city company company_id country created_at currency customer_since description employees
    first_seen gender id industry language last_seen level lifecycle_stage locale member_level plan region state tags
    tier timezone title website user_id anonymous_id member_id
"""
_SENSITIVE = """
    email phone mobile telephone tel fax wechat_openid wechat_unionid openid unionid push_token device_token token
    device_id advertising_id idfa idfv gaid imei mac ip ip_address id_card id_number national_id passport
    passport_number ssn social_security_number tax_id bank_account bank_card card_number credit_card iban password
    health religion ethnicity political_opinion biometric latitude longitude geo location
"""
_PERSONAL = """
    name first_name last_name full_name middle_name nickname username birthday birth_date birthdate date_of_birth age
    address street postal_code zip zip_code avatar
"""
_CLASS: dict[str, Sensitivity] = {
    **dict.fromkeys(_PUBLIC.split(), "public"),
    **dict.fromkeys(_PERSONAL.split(), "personal"),
    **dict.fromkeys(_SENSITIVE.split(), "sensitive"),
}
# In an event's properties only these names speak of a person: `name`, `address` or `token` may be a product's.
_ABOUT_PEOPLE = frozenset(
    {
        *(name for name, sensitivity in _CLASS.items() if sensitivity == "sensitive"),
        "first_name", "last_name", "full_name", "nickname", "birthday", "birth_date", "date_of_birth", "recipient",
        "shipping_address", "billing_address", "recipient_name", "recipient_address", "traits",
    }
) - {"token", "location", "geo"}  # fmt: skip
_ENDINGS = ("_email", "_phone", "_mobile", "_openid", "_unionid", "_id_card")
_EMAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
_PHONE = re.compile(r"^(\+\d{7,15}|1[3-9]\d{9})$")
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[\s-]+")
HIDDEN = "****"
_IDS = ("userId", "anonymousId", "previousId")


def snake(name: str) -> str:
    """One spelling of a field's name: `firstName`, `First Name` and `first_name` are the same field."""
    return _WORDS.sub("_", name.strip()).lower()


def class_of(field: str) -> Sensitivity:
    """How sensitive a trait or a kind of identifier is; personal when nobody has said."""
    return _CLASS.get(snake(field), "personal")


def sees(principal: Principal, field: str) -> bool:
    """Whether a principal sees a trait or a kind of identifier in clear."""
    return _sees(principal, snake(field), class_of(field))


def hidden(principal: Principal, fields: Iterable[str]) -> list[str]:
    """Those of the fields that the principal does not see in clear: it must not filter or sort by them either."""
    return sorted({field for field in fields if not sees(principal, field)})


def _sees(principal: Principal, field: str, sensitivity: Sensitivity) -> bool:
    if principal.kind == "customer" or sensitivity == "public":
        return True
    return bool({EVERYTHING, sensitivity, field} & principal.fields)


def value(field: str, clear: Any) -> Any:
    """The masked form of a value: enough to recognise it by, not to use it. A phone is `+86138****5678`."""
    if clear is None:
        return None
    if isinstance(clear, Mapping):
        return {key: value(str(key), inner) for key, inner in clear.items()}
    if isinstance(clear, list):
        return [value(field, inner) for inner in clear]
    return _masked(snake(field), clear) if isinstance(clear, str) else HIDDEN


def _masked(field: str, text: str) -> str:
    local, at, domain = text.rpartition("@")
    if at and local and "." in domain:
        return f"{local[0]}{HIDDEN}@{domain}"
    digits = [place for place, character in enumerate(text) if character.isdigit()]
    if field.endswith(("phone", "mobile", "tel", "telephone", "user_id")) and len(digits) >= 10:
        return f"{text[: digits[-8]]}{HIDDEN}{text[digits[-4] :]}"
    if class_of(field) == "personal" and field.endswith(("name", "nickname")):
        return text[:1] + HIDDEN
    return f"{text[:3]}{HIDDEN}{text[-4:]}" if len(text) >= 16 else HIDDEN


def identifier(principal: Principal, kind: str, clear: str) -> str:
    """An identifier as the principal may see it; an opaque id that is an e-mail address or a phone counts as one."""
    sensitivity = class_of(kind)
    if sensitivity == "public" and (_EMAIL.match(clear) or _PHONE.match(clear)):
        kind = "email" if "@" in clear else "phone"
        sensitivity = "sensitive"
    return clear if _sees(principal, snake(kind), sensitivity) else str(value(kind, clear))


def trait(principal: Principal, name: str, clear: Any) -> Any:
    """One trait's value as the principal may see it."""
    if not sees(principal, name):
        return value(name, clear)
    return _property(principal, name, clear)


def traits(principal: Principal, clear: Mapping[str, Any]) -> dict[str, Any]:
    """Traits by name."""
    return {name: trait(principal, name, held) for name, held in clear.items()}


def properties(principal: Principal, clear: Mapping[str, Any]) -> dict[str, Any]:
    """An event's properties, at every depth."""
    return {name: _property(principal, name, held) for name, held in clear.items()}


def _property(principal: Principal, name: str, held: Any) -> Any:
    field = snake(name)
    if field in _ABOUT_PEOPLE or field.endswith(_ENDINGS):
        known = _CLASS.get(field, "sensitive" if field.endswith(_ENDINGS) else "personal")
        if not _sees(principal, field, known):
            return value(name, held)
    if isinstance(held, Mapping):
        return properties(principal, held)
    if isinstance(held, list):
        return [_property(principal, name, inner) for inner in held]
    if isinstance(held, str) and _EMAIL.match(held) and not sees(principal, "email"):
        return value("email", held)
    return held


def body(principal: Principal, clear: Mapping[str, Any]) -> dict[str, Any]:
    """A tracking event as it was sent: its ids, traits, properties and context."""
    if principal.kind == "customer" or EVERYTHING in principal.fields:
        return dict(clear)
    shown = properties(principal, {name: held for name, held in clear.items() if name not in {"traits", "context"}})
    for name in _IDS:
        if isinstance(clear.get(name), str):
            shown[name] = identifier(principal, snake(name), clear[name])
    for name, mask in (("traits", traits), ("context", _context)):
        held = clear.get(name)
        shown[name] = mask(principal, held) if isinstance(held, Mapping) else value(name, held)
    return {name: shown[name] for name in clear}


def _context(principal: Principal, clear: Mapping[str, Any]) -> dict[str, Any]:
    shown = properties(principal, clear)
    for name, held in clear.items():
        field = snake(name)
        if field == "traits" and isinstance(held, Mapping):
            shown[name] = traits(principal, held)
        elif field == "device" and isinstance(held, Mapping):
            shown[name] = {key: _device(principal, key, inner) for key, inner in held.items()}
        elif field == "external_ids" and not sees(principal, "external_id"):
            shown[name] = value("external_id", held)
    return shown


def _device(principal: Principal, name: str, held: Any) -> Any:
    field = {"id": "device_id", "token": "push_token"}.get(name, snake(name))
    return held if _CLASS.get(field, "public") == "public" or sees(principal, field) else value(field, held)
