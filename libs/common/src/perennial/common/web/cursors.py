"""Where a page of a list begins: `?limit=&cursor=`, and what a cursor says, read part by part."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any, TypeVar, overload
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from perennial.common.problems import BadRequest

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")

LARGEST, LARGEST_INTEGER = 2**63 - 1, 2**31 - 1


@dataclass
class PageRequest:
    """`after` holds the sort key of the last item seen, as the list was written by `paged`; empty on the first page."""

    limit: int
    after: list[Any]
    request: Request
    response: Response


def bad_cursor() -> BadRequest:
    """What to raise for a cursor that belongs to another list, or to none."""
    return BadRequest("cursor: not a cursor of this list", code="bad_cursor", pointer="query/cursor")


def encode_cursor(key: Sequence[Any]) -> str:
    """An opaque cursor from a sort key of JSON values."""
    return base64.urlsafe_b64encode(json.dumps(list(key), default=str).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> list[Any]:
    """The sort key in a cursor. Raises BadRequest."""
    try:
        said = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        key = json.loads(said)
    except (binascii.Error, ValueError, RecursionError) as error:
        raise bad_cursor() from error
    if not isinstance(key, list) or not key or not all(map(_plain, key)):
        raise bad_cursor()
    return key


def _plain(part: Any) -> bool:
    """Whether `paged` can have written it: text that Postgres takes, or a number that it can count."""
    if isinstance(part, str):
        return "\0" not in part and not any("\ud800" <= char <= "\udfff" for char in part)
    return type(part) is int and abs(part) <= LARGEST


async def _page_request(
    request: Request,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
) -> PageRequest:
    return PageRequest(limit, decode_cursor(cursor) if cursor else [], request, response)


PageQuery = Annotated[PageRequest, Depends(_page_request)]


def text(part: Any) -> str:
    """A part that is text. Raises TypeError; the readers of other parts raise that or ValueError."""
    if not isinstance(part, str):
        raise TypeError("not text")
    return part


def number(part: Any) -> int:
    """A part that is a number from 0 to what a bigint holds."""
    if type(part) is not int or not 0 <= part <= LARGEST:
        raise ValueError("not a number of a row")
    return part


def uuid(part: Any) -> UUID:
    """A part that is a UUID."""
    return UUID(text(part))


def moment(part: Any) -> datetime:
    """A part that is a moment with its offset, in UTC. Raises OverflowError beyond the years that there are."""
    at = datetime.fromisoformat(text(part))
    if at.tzinfo is None:
        raise ValueError("no offset")
    return at.astimezone(UTC)


def day(part: Any) -> date:
    """A part that is a day."""
    return date.fromisoformat(text(part))


@overload
def last(page: PageRequest, first: Callable[[Any], A], /) -> tuple[A] | None: ...
@overload
def last(page: PageRequest, first: Callable[[Any], A], second: Callable[[Any], B], /) -> tuple[A, B] | None: ...
@overload
def last(
    page: PageRequest, first: Callable[[Any], A], second: Callable[[Any], B], third: Callable[[Any], C], /
) -> tuple[A, B, C] | None: ...
def last(page: PageRequest, /, *readers: Callable[[Any], Any]) -> tuple[Any, ...] | None:
    """The sort key of the last item seen, one reader a part; None on the first page. Raises BadRequest."""
    if not page.after:
        return None
    try:
        return tuple(read(part) for read, part in zip(readers, page.after, strict=True))
    except (TypeError, ValueError, OverflowError) as error:
        raise bad_cursor() from error


def last_text(page: PageRequest) -> str | None:
    """The last item seen of a list by a key in words; None on the first page. Raises BadRequest."""
    found = last(page, text)
    return found[0] if found else None


def last_number(page: PageRequest, most: int = LARGEST) -> int | None:
    """The last item seen of a list by number; `most` is what its column holds. None on the first page.

    Raises BadRequest.
    """
    found = last(page, number)
    if found and found[0] > most:
        raise bad_cursor()
    return found[0] if found else None


def last_id(page: PageRequest) -> UUID | None:
    """The last item seen of a list by id; None on the first page. Raises BadRequest."""
    found = last(page, uuid)
    return found[0] if found else None


def last_moment(page: PageRequest) -> tuple[datetime, UUID] | None:
    """The last item seen of a list by moment (UTC) and id; None on the first page. Raises BadRequest."""
    return last(page, moment, uuid)
