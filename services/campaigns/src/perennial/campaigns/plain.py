"""Text and JSON that Postgres can store: no NUL, no half of a surrogate pair, no bottomless nesting."""

from typing import Annotated, Any

from pydantic import AfterValidator

from perennial.common.commerce import canonical
from perennial.common.problems import Unprocessable

DEEPEST = 60


def storable(value: str) -> bool:
    """Whether a text can be written to the database."""
    return "\x00" not in value and not any("\ud800" <= char <= "\udfff" for char in value)


def _stored(value: str) -> str:
    if not storable(value):
        raise ValueError("must not contain NUL or half of a surrogate pair")
    return value


Plain = Annotated[str, AfterValidator(_stored)]


def spelled(data: Any, at: str, depth: int = 0) -> Any:
    """A copy in which events bear their canonical names. Raises Unprocessable naming what cannot be stored."""
    if depth > DEEPEST:
        raise _refused(at, "is nested too deeply")
    if isinstance(data, str):
        if not storable(data):
            raise _refused(at, "must not contain NUL or half of a surrogate pair")
        return data
    if isinstance(data, list):
        return [spelled(item, f"{at}/{index}", depth + 1) for index, item in enumerate(data)]
    if not isinstance(data, dict):
        return data
    if not all(storable(key) for key in data):
        raise _refused(at, "must not have NUL or half of a surrogate pair in a name")
    return {
        key: canonical(value)
        if key == "event" and isinstance(value, str) and storable(value)
        else spelled(value, f"{at}/{key}", depth + 1)
        for key, value in data.items()
    }


def _refused(at: str, detail: str) -> Unprocessable:
    return Unprocessable(f"{at.strip('/')} {detail}", code="invalid_journey", pointer=at)
