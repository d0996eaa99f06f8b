"""Lists by cursor: `?limit=&cursor=` in, `{"items", "next_cursor"}` and a Link header out."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

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


def encode_cursor(key: Sequence[Any]) -> str:
    """An opaque cursor from a sort key of JSON values."""
    return base64.urlsafe_b64encode(json.dumps(list(key), default=str).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> list[Any]:
    """The sort key in a cursor. Raises BadRequest."""
    try:
        key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as error:
        raise BadRequest("cursor: not a cursor of this list", code="bad_cursor", pointer="query/cursor") from error
    if not isinstance(key, list):
        raise BadRequest("cursor: not a cursor of this list", code="bad_cursor", pointer="query/cursor")
    return key


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
    if len(rows) <= page.limit:
        return Page(items=items)
    cursor = encode_cursor(key(items[-1]))
    url = page.request.url.include_query_params(cursor=cursor)
    page.response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return Page(items=items, next_cursor=cursor)
