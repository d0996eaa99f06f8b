"""Idempotency-Key: a repeated request gets the first one's answer, from the transaction that did the work."""

import hashlib
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

    async def run(self, session: WriteSession, call: Callable[[], Awaitable[BaseModel]], status: int = 201) -> Response:
        """The response of `call`, or the stored one. Raises Conflict while the first is still running."""
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
            return Response(found.body, found.status, {"Idempotent-Replayed": "true"}, "application/json")
        body = (await call()).model_dump_json().encode()
        await session.execute(
            text("INSERT INTO idempotency (id, fingerprint, status, body) VALUES (:id, :fingerprint, :status, :body)"),
            {"id": self.id, "fingerprint": self.fingerprint, "status": status, "body": body},
        )
        return Response(body, status, media_type="application/json")


def _path(request: Request) -> str:
    """The path in one spelling: an id in capitals or without dashes is the same resource."""
    template = getattr(request.scope.get("route"), "path", request.url.path)
    return f"{template}\0{sorted((name, _plain(value)) for name, value in request.path_params.items())}"


def _plain(value: object) -> str:
    try:
        return str(UUID(str(value)))
    except ValueError:
        return str(value)


async def _once(
    request: Request,
    principal: Annotated[Principal, Depends(authenticated)],
    idempotency_key: Annotated[str | None, Header(description="A quoted or bare string, unique per action.")] = None,
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


Idempotent = Annotated[Once, Depends(_once)]
