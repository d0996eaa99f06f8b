"""Idempotency-Key: a repeated request gets the first one's answer, from the transaction that did the work."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel
from sqlalchemy import text

from perennial.common import outbox
from perennial.common.auth import Principal, authenticated
from perennial.common.contracts.base import Event
from perennial.common.db import WriteSession
from perennial.common.db.locks import lock_key
from perennial.common.identity_map import customer_of, vias_of
from perennial.common.problems import BadRequest, Conflict, Unprocessable

LONGEST_KEY = 255
REPLAYED = "Idempotent-Replayed"
MOST_LOCKED = 64  # of a customer's identifiers: Postgres has room for some thousand locks

# One look: an answer that is kept between the look's beginning and its lock shows when this one's is to be kept, under
# whichever of the ids it is.
_CLAIM = text("""
    SELECT held.free, kept.fingerprint, kept.status, kept.body
    FROM (SELECT bool_and(pg_try_advisory_xact_lock(key)) AS free FROM unnest(CAST(:keys AS bigint[])) AS key) AS held
    LEFT JOIN LATERAL (
        SELECT fingerprint, status, body FROM idempotency WHERE id = ANY(CAST(:ids AS bytea[]))
        ORDER BY id <> :own, fingerprint <> :fingerprint, created_at LIMIT 1
    ) AS kept ON true""")
_KEEP = """
    INSERT INTO idempotency (id, fingerprint, status, body)
    SELECT CAST(:id AS bytea), CAST(:fingerprint AS bytea), CAST(:status AS int), CAST(:body AS bytea)
    WHERE NOT EXISTS (SELECT FROM idempotency WHERE id = ANY(CAST(:kin AS bytea[])))
    ON CONFLICT (id) DO NOTHING RETURNING true"""
_KEEP_ALONE = text(_KEEP)
_KEEP_AND_SAY = text(f"WITH kept AS ({_KEEP}), said AS ({outbox.INSERT}) SELECT true FROM kept")  # noqa: S608 (ours)


@dataclass(frozen=True)
class Once:
    """`await once.run(session, call)` does the work at most once per principal, method, path and key.

    A customer is one principal by whichever identifier a token was made for: an answer is kept under that identifier,
    and looked for under all that are the customer's today. So it is found after a merge, and after its undoing.
    """

    id: bytes
    fingerprint: bytes
    via: UUID | None = None
    action: str = ""

    async def run(
        self, session: WriteSession, call: Callable[[], Awaitable[BaseModel]], status: int = 201, *,
        location: str = "", etag: str = "",
    ) -> Response:  # fmt: skip
        """The response of `call`, or the stored one. Raises Conflict while the first is still running.

        `location` and `etag` are templates of the body's members (`/v1/things/{id}`, `{version}`): so a stored answer
        has the headers of the first.
        """
        ids = await self._ids(session)
        found = await self._claimed(session, ids)
        if found is not None:
            if bytes(found.fingerprint) != self.fingerprint:
                raise Unprocessable(
                    "Idempotency-Key: it was used with another body", code="idempotency_key_reused",
                    pointer="header/Idempotency-Key",
                )  # fmt: skip
            answer = _answer(found.body, found.status, location, etag)
            answer.headers[REPLAYED] = "true"
            return answer
        with outbox.holding(session) as said:
            body = (await call()).model_dump_json().encode()
        kept = {"id": self.id, "kin": ids, "fingerprint": self.fingerprint, "status": status, "body": body}
        await _keep(session, kept, said)
        return _answer(body, status, location, etag)

    async def _ids(self, session: WriteSession) -> list[bytes]:
        """Its own id, and those of the same key by the customer's other identifiers."""
        if self.via is None:
            return [self.id]
        customer = await customer_of(session, self.via) or self.via
        vias = (await vias_of(session, [customer])).get(customer, [])
        return [self.id, *sorted({_id("customer", str(via), self.action) for via in [customer, *vias]} - {self.id})]

    async def _claimed(self, session: WriteSession, ids: Sequence[bytes]) -> Any:
        """The answer that is kept, if there is one. Raises Conflict."""
        bound = {
            "keys": sorted({lock_key("idempotency", each.hex()) for each in ids[:MOST_LOCKED]}),
            "ids": ids,
            "own": self.id,
            "fingerprint": self.fingerprint,
        }
        found = (await session.execute(_CLAIM, bound)).one()
        if not found.free:
            raise _in_flight()
        return found if found.body is not None else None


async def _keep(session: WriteSession, answer: Mapping[str, Any], said: Sequence[Event]) -> None:
    """Keep an answer, with what is said of the work. Raises Conflict where another has just kept one."""
    if said:
        kept = await session.execute(_KEEP_AND_SAY, {**answer, **outbox.rows_of(said)})
    else:
        kept = await session.execute(_KEEP_ALONE, answer)
    if kept.one_or_none() is None:
        raise _in_flight()


def _in_flight() -> Conflict:
    return Conflict("Idempotency-Key: the first request with this key is still running", code="in_flight")


def is_replayed(answer: Response) -> bool:
    """Whether an answer is that of an earlier request."""
    return REPLAYED in answer.headers


def _id(kind: str, who: str, action: str) -> bytes:
    return hashlib.sha256(f"{kind}\0{who}\0{action}".encode()).digest()


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
        answer.headers["Location"] = location.format(**{name: quote(str(said), "") for name, said in members.items()})
    if etag:
        answer.headers["ETag"] = f'"{etag.format(**members)}"'
    return answer


def _path(request: Request) -> str:
    """The path in one spelling: an id in capitals or without dashes is the same resource."""
    route = request.scope.get("route")
    template = request.url.path if route is None else route.path  # a URL takes longer to make than the whole key
    return spelled(template, request.path_params)


def spelled(template: str, parameters: Mapping[str, object]) -> str:
    """A route's template with its parameters, each in the one spelling that it has."""
    return f"{template}\0{sorted((name, _plain(value)) for name, value in parameters.items())}"


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
    return once_of(principal, request.method, _path(request), key, await request.body())


def once_of(principal: Principal, method: str, path: str, key: str, body: bytes) -> Once:
    """What a key stands for; `path` as `spelled` says it."""
    action = f"{method}\0{path}\0{key}"
    via = principal.via if principal.kind == "customer" else None
    return Once(_id(principal.kind, str(via or principal.id), action), hashlib.sha256(body).digest(), via, action)


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
