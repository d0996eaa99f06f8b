"""Lists by cursor: `?limit=&cursor=` in, `{"items", "next_cursor"}` and a Link header out."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import quote, urlencode

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel

from perennial.common.problems import BadRequest

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """One page of a list. `next_cursor` is null on the last page."""

    items: list[T]
    next_cursor: str | None = None


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
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        key = json.loads(text)
    except (binascii.Error, ValueError, RecursionError) as error:
        raise bad_cursor() from error
    if not isinstance(key, list) or not key or not all(map(_plain, key)):
        raise bad_cursor()
    return key


def before(page: PageRequest) -> int | None:
    """The last id seen in a list by descending id; None on the first page. Raises BadRequest."""
    if not page.after:
        return None
    last = page.after[0]
    if len(page.after) != 1 or type(last) is not int or not 0 <= last < 2**63:
        raise bad_cursor()
    return last


def _plain(part: Any) -> bool:
    """Whether `paged` can have written it: text that Postgres takes, or a number that it can count."""
    if isinstance(part, str):
        return "\0" not in part and not any("\ud800" <= char <= "\udfff" for char in part)
    return type(part) is int and abs(part) < 2**63


async def _page_request(
    request: Request,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
) -> PageRequest:
    return PageRequest(limit, decode_cursor(cursor) if cursor else [], request, response)


PageQuery = Annotated[PageRequest, Depends(_page_request)]


def paged(rows: Sequence[T], page: PageRequest, key: Callable[[T], Sequence[Any]]) -> Page[T]:
    """A page from `page.limit + 1` rows fetched: the extra row tells whether there is more."""
    items = list(rows[: page.limit])
    return paged_to(items, page, key(items[-1]) if len(rows) > page.limit else None)


def paged_to(items: Sequence[T], page: PageRequest, last: Sequence[Any] | None) -> Page[T]:
    """A page of these items, however few; `last` is where the next one begins, None when there is none."""
    if last is None:
        return Page(items=list(items))
    cursor = encode_cursor(last)
    page.response.headers["Link"] = f'<{_next(page.request, cursor)}>; rel="next"'
    return Page(items=list(items), next_cursor=cursor)


def _next(request: Request, cursor: str) -> str:
    """The path as the client sent it: the `Host` header may be anything, and a prefix is not ours to know."""
    query = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    path = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    return f"{path.decode('latin-1')}?{urlencode([*query, ('cursor', cursor)])}"
