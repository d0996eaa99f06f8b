"""Suggestions: what is kept to recognise people by, and what a person makes of a probable duplicate."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import RowMapping

from perennial.common import audit
from perennial.common.auth import Principal
from perennial.common.contracts.gateway import AcceptedEvent
from perennial.common.db import ReadSession, WriteSession
from perennial.common.problems import Conflict, NotFound
from perennial.identity.merges import service as merges
from perennial.identity.suggestions import likeness, queries
from perennial.identity.vault import Vault

PENDING, APPROVED, REJECTED = "pending", "approved", "rejected"


async def keep(session: WriteSession, events: Sequence[tuple[AcceptedEvent, UUID]], vault: Vault) -> None:
    """Keep what identify events say of their people, under the identifier that spoke, sealed."""
    newest: dict[tuple[UUID, str], tuple[datetime, str | None]] = {}
    for event, via in events:
        if event.type == "identify":
            for field, value in likeness.said(event.body).items():
                known = newest.get((via, field))
                if known is None or known[0] <= event.timestamp:
                    newest[via, field] = (event.timestamp, value)
    if newest:
        said = [
            queries.Said(via, field, at, vault.seal(value, _bound(via, field)) if value else None)
            for (via, field), (at, value) in newest.items()
        ]
        await queries.keep(session, said)


def _bound(via: UUID, field: str) -> bytes:
    """What a sealed field is bound to: it does not open under another identifier or as another field."""
    return via.bytes + field.encode()


async def records(session: ReadSession, vault: Vault) -> AsyncIterator[dict[str, str]]:
    """Today's customers with what they are recognised by, the newest of each field; only those with a name."""
    record: dict[str, str] = {"id": ""}
    async for chunk in queries.likenesses(session):
        for row in chunk:
            if str(row["customer_id"]) != record["id"]:
                if _has_name(record):
                    yield record
                record = {"id": str(row["customer_id"])}
            read = _opened(row, vault)
            if read is not None:
                record.setdefault(*read)
    if _has_name(record):
        yield record


def _has_name(record: Mapping[str, str]) -> bool:
    return "last_name" in record or "first_name" in record


def _opened(row: RowMapping, vault: Vault) -> tuple[str, str] | None:
    if row["digest"] is not None:
        return likeness.of_identifier(row["field"], vault.open(row["sealed"], row["digest"]))
    return row["field"], vault.open(row["sealed"], _bound(row["via"], row["field"]))


async def approve(session: WriteSession, suggestion_id: UUID, reason: str, principal: Principal) -> None:
    """Merge the two. Raises NotFound, Conflict when it was decided before or they may not be one customer."""
    suggestion = await _undecided(session, suggestion_id)
    merge_id = await merges.merge(session, [suggestion["low"], suggestion["high"]], reason, principal)
    await _decide(session, suggestion, APPROVED, reason, principal, merge_id)


async def reject(session: WriteSession, suggestion_id: UUID, reason: str, principal: Principal) -> None:
    """They are two; it is not suggested again, whoever else they are merged with. Raises NotFound, Conflict."""
    suggestion = await _undecided(session, suggestion_id)
    await _decide(session, suggestion, REJECTED, reason, principal, None)


async def _undecided(session: WriteSession, suggestion_id: UUID) -> RowMapping:
    await queries.hold(session, suggestion_id)
    suggestion = await queries.one(session, suggestion_id)
    if suggestion is None:
        raise NotFound(f"there is no suggestion {suggestion_id}", pointer="path/suggestion_id")
    if suggestion["state"] != PENDING:
        raise Conflict(f"the suggestion is {suggestion['state']}", code="already_decided")
    return suggestion


async def _decide(
    session: WriteSession,
    suggestion: RowMapping,
    state: str,
    reason: str,
    principal: Principal,
    merge_id: UUID | None,
) -> None:
    who = f"{principal.kind}:{principal.id}"
    await queries.decide(session, suggestion["id"], state, who, reason, merge_id)
    detail = {"reason": reason, "low": suggestion["low"], "high": suggestion["high"], "merge": merge_id}
    await audit.record(session, principal, f"suggestion.{state}", str(suggestion["id"]), detail)
