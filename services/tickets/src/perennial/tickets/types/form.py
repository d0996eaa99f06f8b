"""What a customer filled in, checked against the type's form."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from perennial.common.problems import FieldError, Unprocessable
from perennial.tickets.texts import storable
from perennial.tickets.types.definition import FormField

LONGEST_TEXT = 5000
MOST_DIGITS = 30
LARGEST_INTEGER = 2**53


def check(form: Sequence[FormField], given: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they are kept. Raises Unprocessable that names every field at fault as `/fields/<name>`."""
    kept: dict[str, Any] = {}
    known = {field.name: field for field in form}
    unknown = sorted(given.keys() - known.keys())
    errors = [_error(name, "this type has no such field", "unknown_field") for name in unknown]
    for name, field in known.items():
        value = given.get(name)
        if value is None:
            if field.required:
                errors.append(_error(name, "is required", "missing"))
            continue
        try:
            kept[name] = _READERS[field.type](value, field)
        except ValueError as error:
            errors.append(_error(name, str(error), "invalid_field"))
    if errors:
        detail = "; ".join(f"{error.pointer.strip('/')}: {error.detail}" for error in errors)
        raise Unprocessable(detail, code="invalid_fields", errors=errors)
    return kept


def _error(name: str, detail: str, code: str) -> FieldError:
    printable = name.encode(errors="backslashreplace").decode()  # half of a surrogate pair cannot be answered
    pointer = printable[:100].replace("~", "~0").replace("/", "~1")
    return FieldError(pointer=f"/fields/{pointer}", detail=detail, code=code)


def _text(value: Any, _: FormField) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_TEXT:
        raise ValueError(f"must be a text of 1 to {LONGEST_TEXT} characters")
    return storable(value)


def _integer(value: Any, _: FormField) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > LARGEST_INTEGER:
        raise ValueError("must be a whole number")
    return value


def _decimal(value: Any, _: FormField) -> str:
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise InvalidOperation
        found = Decimal(repr(value) if isinstance(value, float) else value)
        if not found.is_finite() or len(found.as_tuple().digits) > MOST_DIGITS or abs(found.adjusted()) > MOST_DIGITS:
            raise InvalidOperation
    except (InvalidOperation, ValueError) as error:
        raise ValueError("must be a number such as 12.50") from error
    return format(found, "f")


def _boolean(value: Any, _: FormField) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 (a fault of the input)
    return value


def _date(value: Any, _: FormField) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError) as error:
        raise ValueError("must be a date such as 2026-01-31") from error


def _choice(value: Any, field: FormField) -> str:
    if not isinstance(value, str) or value not in field.choices:
        raise ValueError(f"must be one of {', '.join(field.choices)}")
    return value


_READERS: dict[str, Callable[[Any, FormField], Any]] = {
    "text": _text,
    "integer": _integer,
    "decimal": _decimal,
    "boolean": _boolean,
    "date": _date,
    "choice": _choice,
}
