"""By what people are recognised who share no identifier: names, addresses, birthdays, parts of e-mails and phones."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import msgspec

LONGEST = 100
TAIL = 7  # the digits of a phone number that are the same however its prefix was written
_NUMBER_FIRST = re.compile(r"^(\d+\w{0,3})[,\s]+(.+)$")
_NUMBER_LAST = re.compile(r"^(.+?)[,\s]+(\d+\w{0,3})$")
_NOT_WORDS = re.compile(r"[^\w]+|_+")
_HAN = re.compile(r"^[\u3400-\u9fff]{2,6}$")
_JUNK = frozenset({"", "na", "n a", "none", "null", "unknown", "test", "anonymous", "guest"})


class _Person(msgspec.Struct, gc=False):
    name: Any = msgspec.UNSET
    first_name: Any = msgspec.UNSET
    first_name_camel: Any = msgspec.field(default=msgspec.UNSET, name="firstName")
    last_name: Any = msgspec.UNSET
    last_name_camel: Any = msgspec.field(default=msgspec.UNSET, name="lastName")
    birthday: Any = msgspec.UNSET
    address: Any = msgspec.UNSET
    id_number: Any = msgspec.UNSET
    id_number_camel: Any = msgspec.field(default=msgspec.UNSET, name="idNumber")


_Junk = str | int | float | bool | list[Any] | None


class _Context(msgspec.Struct, gc=False):
    traits: _Person | _Junk = None


class _Said(msgspec.Struct, gc=False):
    traits: _Person | _Junk = None
    context: _Context | _Junk = None


_DECODER = msgspec.json.Decoder(_Said)
_ADDRESS = {
    "district": ("district", "line2", "address2", "street2"),
    "city": ("city", "town", "suburb"),
    "postcode": ("postalCode", "postal_code", "postcode", "zip"),
    "region": ("state", "region", "province"),
}


def said(body: bytes | msgspec.Raw) -> dict[str, str | None]:
    """What an identify event says of its person, by field; None for what it clears."""
    event = _DECODER.decode(body)
    hints = event.context.traits if isinstance(event.context, _Context) else None
    found: dict[str, str | None] = {}
    for person in (hints, event.traits):
        if isinstance(person, _Person):
            found.update(_fields(person))
    return found


def _fields(person: _Person) -> Iterator[tuple[str, str | None]]:
    if person.name is not msgspec.UNSET:
        yield from _split_name(_words(person.name))
    for field, spellings in (("first_name", ("first_name", "first_name_camel")),
                             ("last_name", ("last_name", "last_name_camel"))):  # fmt: skip
        for value in (getattr(person, spelling) for spelling in spellings):
            if value is not msgspec.UNSET:
                yield field, _words(value)
    if person.birthday is not msgspec.UNSET:
        yield "birthday", _birthday(person.birthday)
    for value in (person.id_number, person.id_number_camel):
        if value is not msgspec.UNSET:
            yield "id_number", _code(value)
    if person.address is not msgspec.UNSET:
        yield from _address(person.address)


def _split_name(name: str | None) -> Iterator[tuple[str, str | None]]:
    """A Chinese name begins with the family's, any other ends with it."""
    if name is None:
        yield "first_name", None
        yield "last_name", None
    elif _HAN.match(name):
        yield "last_name", name[:1]
        yield "first_name", name[1:]
    else:
        first, _, last = name.rpartition(" ")
        yield "last_name", last
        if first:
            yield "first_name", first


def _address(address: Any) -> Iterator[tuple[str, str | None]]:
    if not isinstance(address, Mapping):
        address = {"street": address}
    number, street = _street(_words(address.get("street") or address.get("line1") or address.get("address1")))
    yield "number", number
    yield "street", street
    for field, spellings in _ADDRESS.items():
        value = next((address[spelling] for spelling in spellings if address.get(spelling)), None)
        yield field, (_code if field == "postcode" else _words)(value)


def _street(line: str | None) -> tuple[str | None, str | None]:
    if line is None:
        return None, None
    if first := _NUMBER_FIRST.match(line):
        return first[1], first[2]
    if last := _NUMBER_LAST.match(line):
        return last[2], last[1]
    return None, line


def _words(value: Any) -> str | None:
    """Letters and digits in lower case, without accents, with single spaces."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return None
    plain = unicodedata.normalize("NFKD", value[: 4 * LONGEST].casefold())
    plain = "".join(character for character in plain if not unicodedata.combining(character))
    words = _NOT_WORDS.sub(" ", unicodedata.normalize("NFC", plain)).strip()[:LONGEST]
    return None if words in _JUNK else words


def _code(value: Any) -> str | None:
    words = _words(value)
    return words.replace(" ", "") if words else None


def _birthday(value: Any) -> str | None:
    try:
        return date.fromisoformat(str(value).strip()[:10]).strftime("%Y%m%d")
    except ValueError:
        return None


def of_identifier(kind: str, value: str) -> tuple[str, str] | None:
    """What an e-mail address or a phone number says besides being one: its name, its last digits."""
    if kind == "email":
        name = _code(value.rpartition("@")[0].partition("+")[0])
        return ("email_name", name) if name else None
    digits = re.sub(r"\D", "", value)
    return ("phone_tail", digits[-TAIL:]) if kind == "phone" and len(digits) >= TAIL else None
