"""Reading the cursors of lists."""

from typing import Any
from uuid import UUID

from perennial.common.problems import BadRequest


def _bad() -> BadRequest:
    return BadRequest("cursor: not a cursor of this list", code="bad_cursor", pointer="query/cursor")


def id_in(key: list[Any]) -> UUID | None:
    """The id of the last item seen; None on the first page. Raises BadRequest."""
    try:
        return UUID(str(key[0])) if key else None
    except ValueError as error:
        raise _bad() from error


def number_in(key: list[Any]) -> int | None:
    """The number of the last item seen; None on the first page. Raises BadRequest."""
    if not key:
        return None
    if type(key[0]) is not int or not 0 <= key[0] < 2**31:
        raise _bad()
    return key[0]
