"""What holds for every request of every route: JSON that is JSON, and nothing that Postgres cannot keep."""

import math
from collections.abc import Iterator
from typing import Any

from fastapi import Request
from fastapi.dependencies.models import Dependant

from perennial.common.auth import authenticated, bearer
from perennial.common.problems import BadRequest, FieldError, Unprocessable, UnsupportedMediaType

DEEPEST = 64
SHOWN = 10
PATCH_TYPE = "application/merge-patch+json"


async def checked(request: Request) -> None:
    """A dependency of every route, before all others: strangers learn that they are, others what is wrong and where."""
    route = request.scope["route"]
    if _guarded(route.dependant):
        await authenticated(request, await bearer(request))
    wrong = [_error(f"path/{name}", "nul") for name, value in request.path_params.items() if _unkept(str(value))]
    given = request.query_params.multi_items()
    wrong += [_error(f"query/{_shown(name)}", "nul") for name, value in given if _unkept(name) or _unkept(value)]
    wrong += [
        FieldError(pointer=f"query/{_shown(name)}", detail="must be given once", code="repeated")
        for name in request.query_params
        if sum(name == other for other, _ in given) > 1
    ]
    if route.body_field is not None and await request.body():
        _check_type(request)
        wrong += [_error(pointer, code) for pointer, code in unfit(await _parsed(request))]
    if wrong:
        detail = "; ".join(f"{item.pointer}: {item.detail}" for item in wrong[:SHOWN])
        raise Unprocessable(detail, code="invalid_request", errors=wrong[:SHOWN])


def _guarded(dependant: Dependant) -> bool:
    return any(inner.call is authenticated or _guarded(inner) for inner in dependant.dependencies)


_SAYS = {
    "nul": "must not contain NUL or half of a surrogate pair",
    "not_finite": "must be a finite number",
}


def _error(pointer: str, code: str) -> FieldError:
    return FieldError(pointer=pointer, detail=_SAYS[code], code=code)


def _check_type(request: Request) -> None:
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise UnsupportedMediaType("Content-Encoding must be identity", headers={"Accept-Encoding": "identity"})
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    allowed = [PATCH_TYPE, "application/json"] if request.method == "PATCH" else ["application/json"]
    if sent not in allowed:
        accept = "Accept-Patch" if request.method == "PATCH" else "Accept"
        raise UnsupportedMediaType(
            f"Content-Type must be {' or '.join(allowed)}", headers={accept: ", ".join(allowed)},
            pointer="header/Content-Type",
        )  # fmt: skip


async def _parsed(request: Request) -> Any:
    try:
        return await request.json()
    except (ValueError, RecursionError) as error:
        raise BadRequest("body is not valid JSON", code="invalid_json") from error


def unfit(body: Any) -> Iterator[tuple[str, str]]:
    """Where in a body something stands that no route may get; without recursion, whatever the depth."""
    waiting = [(body, "", 0)]
    while waiting:
        value, at, depth = waiting.pop()
        if depth > DEEPEST:
            raise BadRequest(f"body is nested deeper than {DEEPEST}", code="too_deep", pointer=_shown(at))
        if isinstance(value, dict):
            yield from ((f"{at}/{_shown(key)}", "nul") for key in value if _unkept(key))
            waiting += [(inner, f"{at}/{_shown(key)}", depth + 1) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(inner, f"{at}/{index}", depth + 1) for index, inner in enumerate(value)]
        elif isinstance(value, str) and _unkept(value):
            yield at, "nul"
        elif isinstance(value, float) and not math.isfinite(value):
            yield at, "not_finite"


def _unkept(text: str) -> bool:
    return (not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text)) or "\0" in text


def _shown(name: str) -> str:
    """A name that can stand in an answer."""
    return name[:200].encode("utf-8", "replace").decode().replace("\0", "?")
