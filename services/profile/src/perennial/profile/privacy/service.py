"""Asks for an erasure, lets it begin, gathers the receipts."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol
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
from perennial.common.outbox import emit
from perennial.common.problems import Conflict, NotFound
from perennial.profile.privacy import queries

log = structlog.get_logger()


class Hold(Protocol):
    """What the law wants kept for a while, and why."""

    @property
    def until(self) -> datetime: ...
    @property
    def because(self) -> str: ...


PATIENCE = timedelta(minutes=30)
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
    session: WriteSession, any_id: UUID, reason: str, principal: Principal, hold: Hold | None = None, *,
    agreed: bool = True,
) -> UUID:  # fmt: skip
    """Begin to erase a customer; under a legal hold not yet, and not before somebody has `agreed`. Returns the erasure.

    It is for whoever `any_id` means when it begins: a merge that is undone meanwhile, or a split, leads it to nobody
    else. Raises NotFound, and Conflict when an erasure of the customer is open already.
    """
    customer = await customer_of(session, any_id)
    await identity_map.lock_customers(session, [customer])
    if await queries.open_of(session, customer) is not None:
        raise Conflict("an erasure of this customer is open already", code="already_requested")
    held = hold is not None and hold.until > utc_now()
    state = "waiting" if not agreed else "held" if held else "running"
    who, erasure_id = who_is(principal), uuid7()
    values = {
        "id": erasure_id, "customer": any_id, "state": state, "reason": reason, "who": who,
        "held_until": hold and hold.until, "hold_reason": hold and hold.because,
        "decider": who if agreed else None,
    }  # fmt: skip
    if not await queries.add(session, values):
        raise Conflict("an erasure of this customer is open already", code="already_requested")
    if state == "running":
        await emit(session, ErasureRequested(erasure_id=erasure_id, customer=any_id))
    await audit.record(session, principal, "erasure.requested", str(erasure_id), {"reason": reason, "state": state})
    return erasure_id


async def approve(session: WriteSession, erasure_id: UUID, principal: Principal) -> None:
    """Let it begin: one that waits for somebody to agree, or one whose legal hold is lifted.

    Raises NotFound, and Conflict when it is not waiting for that, or when what the person was merged with is held.
    """
    found = await _undecided(session, erasure_id)
    if await queries.held_elsewhere(session, erasure_id, utc_now()):
        raise Conflict("another erasure of the same customer is under a legal hold", code="legal_hold")
    await queries.decide(session, erasure_id, "running", who_is(principal))
    await emit(session, ErasureRequested(erasure_id=erasure_id, customer=found["customer_id"]))
    await audit.record(session, principal, "erasure.approved", str(erasure_id), {"state": found["state"]})


async def refuse(session: WriteSession, erasure_id: UUID, reason: str, principal: Principal) -> None:
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


async def ask_again(session: WriteSession) -> int:
    """Ask once more for erasures that still wait for a receipt; returns how many.

    identity says to every service again what it said; who has done it looks once more and answers again.
    """
    silent = await queries.silent(session, PATIENCE)
    for row in silent:
        await emit(session, ErasureRequested(erasure_id=row["id"], customer=row["customer_id"]))
        log.warning("erasure.asked_again", erasure=str(row["id"]))
    return len(silent)


async def receive(session: WriteSession, events: Sequence[ErasureReceipt]) -> None:
    """Keep what services answered; with the last answer the erasure is complete."""
    for event in sorted(events, key=lambda item: item.erasure_id):
        tables = [item.model_dump() for item in event.tables]
        await queries.receive(session, event.erasure_id, event.producer(), event.occurred_at, tables)
        if await queries.complete(session, event.erasure_id, SERVICES):
            log.info("erasure.everywhere", erasure=str(event.erasure_id))
