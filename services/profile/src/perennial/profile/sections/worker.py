"""Keep what other services say: the highest version of a state wins, so order and repeats do not matter."""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from perennial.common.contracts.campaigns import MessageSent
from perennial.common.contracts.loyalty import Account, AccountsChanged, Tier, TiersChanged
from perennial.common.contracts.segments import Membership, MembershipsChanged
from perennial.common.contracts.tickets import TicketEvent
from perennial.common.db import WriteSession
from perennial.profile.sections import queries

K = TypeVar("K", bound=Hashable)
S = TypeVar("S")


async def record_accounts(session: WriteSession, facts: Sequence[AccountsChanged]) -> None:
    """Copy points, with the time at which they were true."""
    said = [(item.via, item.version, (item, fact.occurred_at)) for fact in facts for item in fact.accounts]
    rows: list[tuple[Account, datetime]] = newest(said)
    await queries.write_accounts(
        session, [(item.via, item.balance, item.pending, item.version, at) for item, at in rows]
    )


async def record_tiers(session: WriteSession, facts: Sequence[TiersChanged]) -> None:
    """Copy tiers, with the time at which they were true."""
    said = [(item.customer, item.version, (item, fact.occurred_at)) for fact in facts for item in fact.tiers]
    rows: list[tuple[Tier, datetime]] = newest(said)
    await queries.write_tiers(session, [(item.customer, item.tier, item.since, item.version, at) for item, at in rows])


async def record_memberships(session: WriteSession, facts: Sequence[MembershipsChanged]) -> None:
    """Copy who is a member of what."""
    said = [((item.customer, item.segment_id), item.version, item) for fact in facts for item in fact.memberships]
    rows: list[Membership] = newest(said)
    await queries.write_memberships(
        session,
        [(item.customer, item.segment_id, item.segment_name, item.member, item.since, item.version) for item in rows],
    )


async def record_tickets(session: WriteSession, facts: Sequence[TicketEvent]) -> None:
    """Copy whether each ticket is open."""
    rows = newest((fact.ticket_id, fact.version, fact) for fact in facts)
    await queries.write_tickets(session, [(fact.ticket_id, fact.via, fact.open, fact.version) for fact in rows])


async def count_messages(session: WriteSession, facts: Sequence[MessageSent]) -> None:
    """Count the messages that went out; each fact is heard once."""
    sent: Counter[UUID] = Counter(fact.via for fact in facts)
    await queries.add_messages(session, sorted(sent.items()))


def newest(states: Iterable[tuple[K, int, S]]) -> list[S]:
    """Of (key, version, state) the highest version of each key, in the order of the keys."""
    found: dict[K, tuple[int, S]] = {}
    for key, version, state in states:
        if key not in found or found[key][0] < version:
            found[key] = (version, state)
    return [found[key][1] for key in sorted(found, key=str)]
