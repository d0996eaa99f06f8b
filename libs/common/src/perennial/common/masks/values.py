"""The masked form of a value: enough to recognise it by, not to use it."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

import phonenumbers

from perennial.common.auth import Principal
from perennial.common.masks.fields import class_of, sees, sees_all, sees_property, snake

HIDDEN = "****"
SHORTEST_PHONE, LONGEST_PHONE = 8, 15
SHORTEST_ENDS = 16  # of a token or a number of papers: its first three and last four characters are shown

# Inside a longer text too. Bounded everywhere, and only what Python and Postgres read alike: a search asks them in SQL.
_BREAK = r"\s@<>()\[\]{},;:\"'=&?/|"
EMAIL = rf"[^{_BREAK}]{{1,64}}(@|%40)[^{_BREAK}.%]{{1,63}}(\.[^{_BREAK}.%]{{1,63}}){{1,8}}"
_WORD = "[0-9A-Za-z_-]"  # a number follows a word of a script without spaces at once
PHONE = (
    r"(\+|%2[Bb])[1-9]([ ().-]{0,2}[0-9]){6,14}(?![0-9])"
    rf"|(?<!{_WORD})(86[ -]?)?1[3-9][0-9]([ -]?[0-9]{{4}}){{2}}(?!{_WORD})"
)

_email = re.compile(EMAIL)
_phone_in = re.compile(PHONE)
_bare_number = re.compile(r"\d+")
_dialled = re.compile(r"[\d+ ().-]+")
_parameter = re.compile(r"(?<=[?&])([^=&?#\s]{1,100})=([^&#\s]*)")
_quoted = re.compile(r"'[^']+'|\"[^\"]+\"|`[^`]+`|“[^”]+”|input_value=[^,\]]+")
_spaced = re.compile(r"\s")
_NO_ENDS = re.compile(r"(password|ip|ip_address|latitude|longitude|location|geo|coordinates|health|.*mail.*)$")
_PHONES = re.compile(r"(.*_)?(phone|phone_number|mobile|mobile_phone|mobile_number|tel|telephone|cell|cellphone|fax)")
_SECRETS = frozenset({"token", "access_token", "code", "password", "secret", "signature"})


def value(field: str, clear: Any) -> Any:
    """A value of a field, masked at every depth. A phone is `+86138****5678`, an address `a****@example.com`."""
    if clear is None:
        return None
    if isinstance(clear, Mapping):
        return {_shielded(str(key)): value(str(key), inner) for key, inner in clear.items()}
    if isinstance(clear, list):
        return [value(field, inner) for inner in clear]
    return _masked(snake(field), clear) if isinstance(clear, str) else HIDDEN


def _masked(field: str, text: str) -> str:
    found = _email.fullmatch(text.strip())
    if found:
        return _hide_email(found)
    if _PHONES.fullmatch(field) or _phone_in.fullmatch(text.strip()):
        return phone(text)
    if class_of(field) == "personal":
        return text[:1] + HIDDEN if field.endswith(("name", "nickname")) else HIDDEN
    if len(text) < SHORTEST_ENDS or _spaced.search(text) or _NO_ENDS.match(field):
        return HIDDEN
    return f"{text[:3]}{HIDDEN}{text[-4:]}"


def phone(text: str) -> str:
    """At most the country, three digits and the last four of a number; four or more are hidden."""
    text = text.replace("%2B", "+").replace("%2b", "+").strip()
    digits = "".join(character for character in text if character.isdigit())
    if not _dialled.fullmatch(text) or not SHORTEST_PHONE <= len(digits) <= LONGEST_PHONE:
        return HIDDEN
    country = _country(digits) if text.startswith("+") else ""
    rest = digits[len(country) :]
    shown = max(0, min(3, len(rest) - 8))
    return f"{'+' if country else ''}{country}{rest[:shown]}{HIDDEN}{rest[-4:] if len(rest) >= SHORTEST_PHONE else ''}"


def _country(digits: str) -> str:
    known = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
    return next((digits[:n] for n in (1, 2, 3) if int(digits[:n]) in known), "")


def text(principal: Principal, said: str, *, bare: bool = True) -> str:
    """A text without the addresses, the phones and the telling parameters of links that the principal does not see.

    Without `bare`, a text that is nothing but a number is left: an order may be called so.
    """
    if sees_all(principal):
        return said
    if "=" in said and ("?" in said or "&" in said):
        said = _parameter.sub(lambda found: _parameter_of(principal, found), said)
    if ("@" in said or "%40" in said) and not sees(principal, "email"):
        said = _email.sub(_hide_email, said)
    if (bare or not _bare_number.fullmatch(said)) and not sees(principal, "phone"):
        said = _phone_in.sub(lambda found: phone(found.group()), said)
    return said


def error(principal: Principal, said: str) -> str:
    """What an exception said: its first line, without what it quotes; a database adds whole rows in the next ones."""
    if sees_all(principal):
        return said
    first = said.strip().split("\n", 1)[0]
    return text(principal, _quoted.sub(HIDDEN, first))


def _parameter_of(principal: Principal, found: re.Match[str]) -> str:
    name = unquote_plus(found[1])
    shown = sees_property(principal, name) and snake(name) not in _SECRETS
    return found.group() if shown or not found[2] else f"{found[1]}={HIDDEN}"


def _hide_email(found: re.Match[str]) -> str:
    return f"{found[0][0]}{HIDDEN}{found[0][found.start(1) - found.start() :]}"


def _shielded(key: str) -> str:
    return _phone_in.sub(lambda found: phone(found.group()), _email.sub(_hide_email, key))
