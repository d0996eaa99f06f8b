"""Lists by cursor: `{"items", "next_cursor"}` and a Link header out."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

from fastapi import Request
from pydantic import BaseModel

from perennial.common.web.cursors import PageRequest, encode_cursor

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """One page of a list. `next_cursor` is null on the last page."""

    items: list[T]
    next_cursor: str | None = None


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
