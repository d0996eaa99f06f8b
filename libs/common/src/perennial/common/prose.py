"""Free text as somebody may see it: e-mail addresses, phones and numbers of cards or papers in it are masked."""

import re
from collections.abc import Mapping
from typing import Any

from perennial.common import masks
from perennial.common.auth import Principal

HIDDEN = masks.HIDDEN
# Besides what `masks.text` finds: what people write in a letter, and no order or product is called like.
_NUMBERS = (
    ("email", re.compile(r"[^\s<>,;:\"'=@]{1,64}@[^\s.@]{0,63}$")),  # cut off where a longer text was
    ("id_card", re.compile(r"(?<!\d)\d{6}(?:19|20)\d\d(?:0\d|1[0-2])[0-3]\d{4}[\dXx](?![\dA-Za-z])")),
    ("phone", re.compile(r"(?<!\d)00[1-9](?:[ ().-]{0,2}\d){6,14}(?!\d)")),
    ("card_number", re.compile(r"(?<![\w-])\d(?:[ -]?\d){14,18}(?![\w-])", re.ASCII)),
    ("phone", re.compile(r"(?<!\d)0\d{9,10}(?!\d)")),
    ("phone", re.compile(r"(?<![\w-])\(?\d{2,4}\)?[ .-]{1,2}\d{3,4}[ .-]?\d{4}(?![\w-])", re.ASCII)),
)


def masked(principal: Principal, text: str) -> str:
    """The text without the addresses and numbers that the principal does not see in clear."""
    text = masks.text(principal, text)
    for field, pattern in _NUMBERS:
        if not masks.sees(principal, field) and not masks.sees_all(principal):
            text = pattern.sub(lambda found, field=field: _masked(field, found.group()), text)  # type: ignore[misc]
    return text


def _masked(field: str, found: str) -> str:
    if field == "card_number" and not _is_card(found):
        return found
    return str(masks.value(field, found))


def _is_card(found: str) -> bool:
    """Luhn's check: an order's number of as many digits fails it nine times of ten."""
    digits = [int(character) for character in reversed(found) if character.isdigit()]
    doubled = (sum(divmod(digit * 2, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def reference(principal: Principal, text: str | None) -> str | None:
    """Something in somebody's own terms, such as an order's number: opaque, unless it is an address or a phone."""
    if text is None:
        return None
    if any(character.isspace() or character == "@" for character in text):
        return masked(principal, text)
    return masks.identifier(principal, "id", text)


def private(principal: Principal, text: str | None) -> str | None:
    """What somebody said, or what was said about them: hidden from whoever does not see personal fields."""
    if text is None:
        return None
    return masked(principal, text) if sees_private(principal) else HIDDEN


def sees_private(principal: Principal) -> bool:
    """Whether the principal sees personal fields, of which free text is one."""
    return masks.sees_all(principal) or "personal" in principal.fields


def within(principal: Principal, held: Any) -> Any:
    """A JSON value whose texts are masked, at every depth."""
    if isinstance(held, str):
        return masked(principal, held)
    if isinstance(held, Mapping):
        return {name: within(principal, inner) for name, inner in held.items()}
    if isinstance(held, list):
        return [within(principal, inner) for inner in held]
    return held
