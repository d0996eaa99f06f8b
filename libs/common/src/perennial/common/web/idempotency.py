"""Idempotency-Key: a repeated request gets the first one's answer, from the transaction that did the work."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel
from sqlalchemy import text

from perennial.common.auth import Principal, authenticated
from perennial.common.db import WriteSession, try_lock
from perennial.common.problems import BadRequest, Conflict, Unprocessable

LONGEST_KEY = 255


@dataclass(frozen=True)
class Once:
    """`await once.run(session, call)` does the work at most once per principal, method, path and key."""

    id: bytes
    fingerprint: bytes

    async def run(
        self, session: WriteSession, call: Callable[[], Awaitable[BaseModel]], status: int = 201, *,
        location: str = "", etag: str = "",
    ) -> Response:  # fmt: skip
        """The response of `call`, or the stored one. Raises Conflict while the first is still running.

        `location` and `etag` are templates of the body's members (`/v1/things/{id}`, `{version}`): so a stored answer
        has the headers of the first.
        """
        if not await try_lock(session, "idempotency", self.id.hex()):
            raise Conflict("Idempotency-Key: the first request with this key is still running", code="in_flight")
        found = (
            await session.execute(
                text("SELECT fingerprint, status, body FROM idempotency WHERE id = :id"), {"id": self.id}
            )
        ).one_or_none()
        if found is not None:
            if bytes(found.fingerprint) != self.fingerprint:
                raise Unprocessable(
                    "Idempotency-Key: it was used with another body", code="idempotency_key_reused",
                    pointer="header/Idempotency-Key",
                )  # fmt: skip
            answer = _answer(found.body, found.status, location, etag)
            answer.headers["Idempotent-Replayed"] = "true"
            return answer
        body = (await call()).model_dump_json().encode()
        await session.execute(
            text("INSERT INTO idempotency (id, fingerprint, status, body) VALUES (:id, :fingerprint, :status, :body)"),
            {"id": self.id, "fingerprint": self.fingerprint, "status": status, "body": body},
        )
        return _answer(body, status, location, etag)


async def run(
    once: Once | None, session: WriteSession, call: Callable[[], Awaitable[BaseModel]], status: int = 200, *,
    location: str = "", etag: str = "",
) -> Response:  # fmt: skip
    """The answer of `call`, or the stored one where the request bears a key that was used before."""
    if once is not None:
        return await once.run(session, call, status, location=location, etag=etag)
    return _answer((await call()).model_dump_json().encode(), status, location, etag)


def _answer(body: bytes, status: int, location: str, etag: str) -> Response:
    answer = Response(body, status, media_type="application/json")
    members = json.loads(body) if location or etag else {}
    if location:
        answer.headers["Location"] = location.format(**members)
    if etag:
        answer.headers["ETag"] = f'"{etag.format(**members)}"'
    return answer


def _path(request: Request) -> str:
    """The path in one spelling: an id in capitals or without dashes is the same resource."""
    template = getattr(request.scope.get("route"), "path", request.url.path)
    return f"{template}\0{sorted((name, _plain(value)) for name, value in request.path_params.items())}"


def _plain(value: object) -> str:
    try:
        return str(UUID(str(value)))
    except ValueError:
        return str(value)


_ABOUT = "A quoted or bare string, unique per action: a repetition gets the first answer, for 7 days."
_LIMITS = {"minLength": 1, "maxLength": LONGEST_KEY, "examples": ["8e03978e-40d5-43dd-bc93-6894a57f9324"]}


async def _once(
    request: Request,
    principal: Annotated[Principal, Depends(authenticated)],
    idempotency_key: Annotated[
        str | None, Header(description=_ABOUT, json_schema_extra={**_LIMITS, "x-required": True})
    ] = None,
) -> Once:
    key = (idempotency_key or "").strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not key:
        raise BadRequest(
            "Idempotency-Key is required", code="idempotency_key_missing", pointer="header/Idempotency-Key"
        )
    if len(key) > LONGEST_KEY:
        raise BadRequest(
            "Idempotency-Key is longer than 255", code="idempotency_key_invalid", pointer="header/Idempotency-Key"
        )
    scope = f"{principal.kind}\0{principal.id}\0{request.method}\0{_path(request)}\0{key}"
    return Once(hashlib.sha256(scope.encode()).digest(), hashlib.sha256(await request.body()).digest())


async def _repeatable(
    request: Request,
    principal: Annotated[Principal, Depends(authenticated)],
    idempotency_key: Annotated[str | None, Header(description=_ABOUT, json_schema_extra=_LIMITS)] = None,
) -> Once | None:
    return None if idempotency_key is None else await _once(request, principal, idempotency_key)


Idempotent = Annotated[Once, Depends(_once)]
"""The Idempotency-Key of what creates or moves value. Missing is 400."""

Repeatable = Annotated[Once | None, Depends(_repeatable)]
"""The Idempotency-Key where it may be given but need not be; `run` takes it."""
