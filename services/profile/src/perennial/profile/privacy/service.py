"""Asks for an erasure, lets it begin, gathers the receipts."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import RowMapping

from perennial.common import audit, identity_map
from perennial.common.auth import Principal
from perennial.common.contracts import catalogue
from perennial.common.contracts.base import ErasureReceipt, utc_now
from perennial.common.contracts.profile import ErasureRequested
from perennial.common.db import ReadSession, WriteSession
from perennial.common.ids import uuid7
from perennial.common.operations.starting import KEEP
from perennial.common.outbox import KEEP as OUTBOX_KEEPS
from perennial.common.outbox import emit
from perennial.common.problems import Conflict, NotFound
from perennial.common.settings import CommonSettings
from perennial.profile.privacy import queries
from perennial.profile.privacy.schemas import Erasure, ErasureDetail, Hold, Receipt, Refusal, Remains, Why

log = structlog.get_logger()

IDEMPOTENCY_KEEPS = timedelta(days=7)
VIOLATIONS_KEEP = timedelta(days=30)
SERVICES = tuple(
    sorted(contract.producer() for contract in catalogue().values() if issubclass(contract, ErasureReceipt))
)


def who_is(principal: Principal) -> str:
    """Who asks, as rows bear it; of a customer no more than that."""
    return "customer" if principal.kind == "customer" else f"{principal.kind}:{principal.id}"


async def customer_of(session: ReadSession, any_id: UUID) -> UUID:
    """Today's customer. Raises NotFound."""
    customer = await identity_map.customer_of(session, any_id)
    if customer is None:
        raise NotFound("there is no such customer", code="unknown_customer")
    return customer


async def request(
    session: WriteSession, any_id: UUID, reason: Why, principal: Principal, hold: Hold | None = None, *,
    agreed: bool = True,
) -> ErasureDetail:  # fmt: skip
    """Begin to erase a customer; under a legal hold not yet, and not before somebody has `agreed`.

    Raises NotFound, and Conflict when an erasure of the customer is open already.
    """
    customer = await customer_of(session, any_id)
    held = hold is not None and hold.until > utc_now()
    state = "waiting" if not agreed else "held" if held else "running"
    who, erasure_id = who_is(principal), uuid7()
    values = {
        "id": erasure_id, "customer": customer, "state": state, "reason": reason, "who": who,
        "held_until": hold and hold.until, "hold_reason": hold and hold.because,
        "decider": who if agreed else None,
    }  # fmt: skip
    if not await queries.add(session, values):
        raise Conflict("an erasure of this customer is open already", code="already_requested")
    if state == "running":
        await emit(session, ErasureRequested(erasure_id=erasure_id, customer=customer))
    await audit.record(session, principal, "erasure.requested", str(erasure_id), {"reason": reason, "state": state})
    return await show(session, erasure_id, None)


async def approve(session: WriteSession, erasure_id: UUID, principal: Principal) -> None:
    """Let it begin: one that waits for somebody to agree, or one whose legal hold is lifted.

    Raises NotFound, and Conflict when it is not waiting for that.
    """
    found = await _undecided(session, erasure_id)
    await queries.decide(session, erasure_id, "running", who_is(principal))
    await emit(session, ErasureRequested(erasure_id=erasure_id, customer=found["customer_id"]))
    await audit.record(session, principal, "erasure.approved", str(erasure_id), {"state": found["state"]})


async def refuse(session: WriteSession, erasure_id: UUID, reason: Refusal, principal: Principal) -> None:
    """Do not do it. Raises NotFound, and Conflict when it has begun."""
    await _undecided(session, erasure_id)
    await queries.decide(session, erasure_id, "refused", who_is(principal), reason)
    await audit.record(session, principal, "erasure.refused", str(erasure_id), {"reason": reason})


async def _undecided(session: WriteSession, erasure_id: UUID) -> RowMapping:
    found = await queries.held(session, erasure_id)
    if found is None:
        raise unknown(erasure_id)
    if found["state"] not in {"waiting", "held"}:
        raise Conflict(f"the erasure is {found['state']} already", code="already_decided")
    return found


def unknown(erasure_id: UUID) -> NotFound:
    """What to raise for an erasure that there is not."""
    return NotFound(f"there is no erasure {erasure_id}", pointer="path/erasure_id")


async def begin_due(session: WriteSession) -> int:
    """Begin those whose legal hold is over; returns how many."""
    due = await queries.due(session, utc_now())
    for erasure_id in due:
        found = await queries.one(session, erasure_id)
        assert found is not None  # noqa: S101 (just read, and locked)
        await queries.decide(session, erasure_id, "running", "hold")
        await emit(session, ErasureRequested(erasure_id=erasure_id, customer=found["customer_id"]))
    return len(due)


async def receive(session: WriteSession, events: Sequence[ErasureReceipt]) -> None:
    """Keep what services answered; with the last answer the erasure is complete."""
    for event in sorted(events, key=lambda item: item.erasure_id):
        tables = [item.model_dump() for item in event.tables]
        await queries.receive(session, event.erasure_id, event.producer(), event.occurred_at, tables)
        if await queries.complete(session, event.erasure_id, SERVICES):
            log.info("erasure.everywhere", erasure=str(event.erasure_id))


async def show(session: ReadSession, erasure_id: UUID, settings: CommonSettings | None) -> ErasureDetail:
    """An erasure with its receipts. Raises NotFound."""
    found = await queries.one(session, erasure_id)
    if found is None:
        raise unknown(erasure_id)
    answered = {row["service"]: row for row in await queries.receipts(session, erasure_id)}
    services = [_receipt(name, answered.get(name)) for name in SERVICES]
    last = max((row["at"] for row in answered.values()), default=None) if found["completed_at"] else None
    remains = _remains(last, settings or CommonSettings.model_construct()) if found["state"] != "refused" else []
    clean = max((item.until for item in remains if item.until), default=None)
    return ErasureDetail(**Erasure(**found).model_dump(), services=services, remains=remains, clean_at=clean)


def _receipt(name: str, row: RowMapping | None) -> Receipt:
    if row is None:
        return Receipt(service=name, state="pending")
    return Receipt(service=name, state="completed", at=row["at"], tables=row["tables"])


def _remains(last: datetime | None, settings: CommonSettings) -> list[Remains]:
    """Copies that nobody deletes one by one, because they age."""
    ages = (
        ("outbox", "facts, after they were published", OUTBOX_KEEPS),
        ("streams", "messages that every service has read", timedelta(days=settings.stream_days)),
        ("idempotency", "answers to requests, for their repetitions", IDEMPOTENCY_KEEPS),
        ("operations", "files that staff had made or sent in", KEEP),
        ("violations", "rejected events in which no identifier could be told", VIOLATIONS_KEEP),
        ("logs", "lines of log, which hold ids only", timedelta(days=settings.log_days)),
        ("backups", "copies of the database", timedelta(days=settings.backup_days)),
    )
    return [Remains(where=where, what=what, until=last and last + age) for where, what, age in ages]
