"""Values by their type: read leniently, kept in one canonical form, refused with a reason. No number is a float."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec
import re2  # type: ignore[import-untyped]

from perennial.common.masks import Sensitivity
from perennial.common.rules.values import scalars

Strategy = Literal["latest", "first", "min", "max", "sum", "union", "longest", "manual-wins"]
TYPES = ("string", "number", "boolean", "date", "datetime", "enum", "list", "object", "money", "geo")
LONGEST_TEXT, MOST_ITEMS = 10_000, 1_000

_CURRENCY = re.compile(r"[A-Z]{3}")
_MONEY = re.compile(r" *(-?[0-9.]{1,40}) +([A-Za-z]{3}) *")
_DAY = re.compile(r"([0-9]{4})[-/]([0-9]{2})[-/]([0-9]{2})([T ].*)?", re.DOTALL)
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_LATITUDE, _LONGITUDE = ("lat", "latitude"), ("lng", "lon", "long", "longitude")


class Unfit(ValueError):  # noqa: N818 (it is no fault)
    """Why a value is not taken: a word to count by. The value is never in it."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A trait as values are held against it.

    `sensitivity` is what counts: the stricter of the name's and the shop's, unless the shop has lowered it. Values that
    do not fit a definition that is not `strict` are kept as they came.
    """

    key: str
    type: str = "string"
    strategy: Strategy = "latest"
    sources: tuple[str, ...] = ()
    sensitivity: Sensitivity = "personal"
    strict: bool = True
    lowered: bool = False
    pattern: Any = field(default=None, compare=False)
    shortest: int = 0
    longest: int = LONGEST_TEXT
    least: Decimal | str | None = None
    most: Decimal | str | None = None
    whole: bool = False
    choices: Mapping[str, str] = field(default_factory=dict, compare=False)
    items: str = "string"
    most_items: int = MOST_ITEMS
    currency: str | None = None
    required: bool = False


def fitted(definition: Definition, said: str) -> str:
    """The canonical JSON of a value that came as JSON. Raises Unfit."""
    return encoded(_KINDS[definition.type](definition, decoded(said)))


def decoded(said: str) -> Any:
    """JSON with its fractions as they were written. Raises Unfit for what cannot be kept."""
    try:
        return _DECODER.decode(said)
    except (msgspec.DecodeError, ArithmeticError) as error:
        raise Unfit("unreadable") from error


def encoded(value: Any) -> str:
    """JSON text of it; a Decimal is a number."""
    return _ENCODER.encode(value).decode()


_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def compiled(pattern: str) -> Any:
    """A pattern (RE2) that takes linear time. Raises ValueError for one that is none."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options=options)
    except re2.error as error:
        said = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise ValueError(f"{pattern!r} is not a pattern: {said}") from error


def _string(definition: Definition, value: Any) -> str:
    said = scalars.text(value)
    if said is None:
        raise Unfit("type")
    if not definition.shortest <= len(said) <= definition.longest:
        raise Unfit("length")
    if definition.pattern is not None and not definition.pattern.fullmatch(said):
        raise Unfit("pattern")
    return said


def _number(definition: Definition, value: Any) -> Decimal | int:
    found = scalars.number(value)
    if found is None:
        raise Unfit("type")
    if definition.whole and found != found.to_integral_value():
        raise Unfit("not_whole")
    _bounded(definition, found)
    return _plain(found)


def _bounded(definition: Definition, found: Decimal | str) -> None:
    least, most = definition.least, definition.most
    if (least is not None and found < least) or (most is not None and found > most):  # type: ignore[operator]
        raise Unfit("range")


def bound(kind: str, said: str) -> Decimal | str:
    """A bound as values are compared with it: canonical, times without their Z. Raises ValueError for what is none."""
    if kind == "date":
        return _date(Definition(""), said)
    if kind == "datetime":
        return _datetime(Definition(""), said).removesuffix("Z")
    found = scalars.number(said)
    if found is None:
        raise Unfit("type")
    return found


def _plain(found: Decimal) -> Decimal | int:
    written = scalars.text(found) or "0"
    return Decimal(written) if "." in written else int(written)


def _boolean(_: Definition, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    found = _WORDS.get(str(value).strip().lower())
    if found is None:
        raise Unfit("type")
    return found


def _date(definition: Definition, value: Any) -> str:
    found = _DAY.fullmatch(value) if isinstance(value, str) else None
    if found is None or scalars.instant(day := f"{found[1]}-{found[2]}-{found[3]}") is None:
        raise Unfit("type")
    _bounded(definition, day)
    return day


def _datetime(definition: Definition, value: Any) -> str:
    found = scalars.instant(value)
    if found is None:
        raise Unfit("type")
    said = written(found)
    _bounded(definition, said.removesuffix("Z"))  # a fraction would sort before it
    return said


def written(at: datetime) -> str:
    """An instant in UTC, without what is zero behind the second."""
    said = at.astimezone(UTC).replace(tzinfo=None).isoformat()
    return (said.rstrip("0") if "." in said else said) + "Z"


def _enum(definition: Definition, value: Any) -> str:
    said = scalars.text(value)
    found = definition.choices.get(said.strip().lower()) if said is not None else None
    if found is None:
        raise Unfit("not_listed")
    return found


def _list(definition: Definition, value: Any) -> list[Any]:
    items = value if isinstance(value, list) else [value]
    if len(items) > definition.most_items:
        raise Unfit("length")
    if isinstance(value, dict):
        raise Unfit("type")
    plain = Definition(definition.key, definition.items)
    return [_KINDS[definition.items](plain, item) for item in items]


def _object(_: Definition, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unfit("type")
    return value


def _money(definition: Definition, value: Any) -> dict[str, str]:
    amount, currency = _amount(definition, value)
    found = scalars.number(amount)
    if found is None:
        raise Unfit("type")
    if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency.upper()):
        raise Unfit("currency")
    _bounded(definition, found)
    return {"amount": scalars.text(found) or "0", "currency": currency.upper()}


def _amount(definition: Definition, value: Any) -> tuple[Any, Any]:
    if isinstance(value, dict):
        return value.get("amount"), value.get("currency", definition.currency)
    found = _MONEY.fullmatch(value) if isinstance(value, str) else None
    return (found[1], found[2]) if found else (value, definition.currency)


def _geo(_: Definition, value: Any) -> dict[str, Decimal | int]:
    if isinstance(value, str):
        parts: list[Any] = list(value.split(","))
    elif isinstance(value, dict):
        parts = [next((value[name] for name in names if name in value), None) for names in (_LATITUDE, _LONGITUDE)]
    else:
        parts = []
    found = [scalars.number(part) for part in parts]
    if len(found) != 2 or found[0] is None or found[1] is None:
        raise Unfit("type")
    if abs(found[0]) > 90 or abs(found[1]) > 180:
        raise Unfit("range")
    return {"lat": _plain(found[0]), "lng": _plain(found[1])}


_KINDS: dict[str, Callable[[Definition, Any], Any]] = {
    "string": _string,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
    "enum": _enum,
    "list": _list,
    "object": _object,
    "money": _money,
    "geo": _geo,
}


def guessed(said: str) -> str:
    """The type that a value looks like."""
    first = said[:1]
    if first == '"':
        return _guessed_text(said)
    return {"{": "object", "[": "list", "t": "boolean", "f": "boolean"}.get(first, "number")


def _guessed_text(said: str) -> str:
    text = said[1:-1]
    if len(text) > 40 or not text[:4].isdigit() or scalars.instant(text) is None:
        return "string"
    return "date" if len(text) == 10 else "datetime"
