"""Kinds of identifiers: how each is normalised, validated and indexed without being readable."""

import hashlib
import hmac
import re
from dataclasses import dataclass

import phonenumbers

BLOCKED = re.compile(r"^(?:[0-]*|-1|null|none|undefined|anonymous|guest|test|unknown|nan|true|false)$", re.IGNORECASE)
LONGEST = 320
_EMAIL = re.compile(r"^[^@\s<>()\[\]\",;:\\]{1,64}@[^@\s]+\.[^@\s.]{2,}$")


@dataclass(frozen=True)
class Kind:
    """A kind of identifier. A smaller `rank` is stronger evidence; `limit` is how many one customer may hold."""

    name: str
    rank: int
    limit: int


KINDS = {
    kind.name: kind
    for kind in (
        Kind("user_id", 0, 1),
        Kind("email", 1, 5),
        Kind("member_id", 2, 5),
        Kind("wechat_unionid", 3, 5),
        Kind("phone", 4, 5),
        Kind("wechat_openid", 5, 5),
        Kind("external_id", 6, 5),
        Kind("device_id", 7, 5),
        Kind("push_token", 8, 50),
        Kind("anonymous_id", 9, 100),
    )
}


def normalise(kind: str, value: str, region: str = "US") -> str | None:
    """The form in which a value is compared, or None when it can identify nobody (blocked, malformed, too long).

    An `external_id` is `<namespace>:<id>`.
    """
    value = value.strip()
    if not value or len(value) > LONGEST or "\x00" in value or BLOCKED.match(value):
        return None
    if kind == "email":
        return _email(value)
    if kind == "phone":
        return _phone(value, region)
    if kind == "external_id":
        return _external(value)
    return value


def _email(value: str) -> str | None:
    if not _EMAIL.match(value):
        return None
    local, _, domain = value.lower().rpartition("@")
    try:
        return f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError:
        return None


def _phone(value: str, region: str) -> str | None:
    try:
        number = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _external(value: str) -> str | None:
    namespace, _, inner = (part.strip() for part in value.partition(":"))
    return f"{namespace}:{inner}" if namespace and not BLOCKED.match(inner) else None


def blind_index(key: bytes, kind: str, value: str) -> bytes:
    """The keyed digest (16 bytes) under which a normalised value is looked up; it cannot be read back."""
    return hmac.digest(key, f"{kind}\x00{value}".encode(), hashlib.sha256)[:16]


def split(identifier: str) -> tuple[str, str]:
    """`kind:value` into its parts. Raises ValueError naming what is wrong."""
    kind, colon, value = identifier.partition(":")
    if not colon or kind not in KINDS:
        msg = f"identifier must be <kind>:<value> with a kind among {', '.join(KINDS)}"
        raise ValueError(msg)
    return kind, value
