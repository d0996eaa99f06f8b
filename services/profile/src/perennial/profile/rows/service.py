"""Derive the row of each customer: traits at once, all else in batches behind the events that change it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from perennial.common import identity_map
from perennial.common.contracts.base import utc_now
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import WriteSession
from perennial.common.derive import Derivation, Stale, mark_changes, mark_events
from perennial.common.identity_map import MapChange
from perennial.profile.computed import derive as computed
from perennial.profile.rows import clock, concerns, queries
from perennial.profile.rows.drafts import UNSEEN, Draft, Part
from perennial.profile.search import indexing
from perennial.profile.stages import derivation as stages
from perennial.profile.tags.derivation import service as tags
from perennial.profile.timeline.service import name_of
from perennial.profile.traits import sealing
from perennial.profile.traits import service as traits

# In this order: a tag may rest on what was computed, a stage on tags.
PARTS: Sequence[Part] = (computed.derive, tags.derive, stages.derive)


async def refresh(
    session: WriteSession, customers: Collection[UUID], *, tell: bool = False
) -> Mapping[UUID, queries.Change]:
    """Write what customers show for their traits, in the transaction that changed it.

    If it should `tell`, returns what was and what is shown of those of whom it changed; sealed as it is stored. Takes
    the customers' locks, so it comes last in a transaction: whoever holds them waits for nothing else.
    """
    if not customers:
        return {}
    await identity_map.lock_customers(session, customers)
    changes, gone = await queries.refresh(session, customers, utc_now(), tell=tell)
    if changes or gone:
        await indexing.follow(session, {*changes, *gone})
    return changes if tell else {}


async def follow_events(session: WriteSession, events: Sequence[ResolvedEvent]) -> None:
    """Bring the rows of those who said something of themselves up to date, and have all else derived."""
    telling = [event for event in events if event.type == "identify"]
    said = {event.via.int: event.via for event in telling}  # hashing a UUID is slow
    owners = await identity_map.customers_of(session, said.values()) if said else {}
    moved = session.info.pop("moved", set())
    live = any(event.live for event in telling)
    await traits.announce(session, owners, await refresh(session, {*owners.values(), *moved}, tell=live))
    about: dict[int, set[str]] = {}
    for event in events:
        about.setdefault(event.via.int, set()).add(concerns.word(event.type, name_of(event)))
    await mark_events(session, events, about)


async def follow_map(session: WriteSession, changes: list[MapChange]) -> None:
    """A merge or a split moves no fact: both sides are derived again, their traits at the end of the transaction."""
    moved: set[UUID] = session.info.setdefault("moved", set())
    moved.update(side for change in changes if change.before for side in (change.before, change.after))
    await mark_changes(session, changes)


async def follow_moves(session: WriteSession, _: Sequence[object]) -> None:
    """Bring the rows of both sides up to date: the last reaction to what changes the map."""
    await refresh(session, session.info.pop("moved", set()))


async def compute(session: WriteSession, stale: Stale, now: datetime | None = None) -> None:
    """Derive one batch of customers; those that are no more lose their rows.

    Of whom is known which events are new, only what looks at these is looked at again.
    """
    now = now or utc_now()
    await queries.forget(session, stale.gone)
    vias = await identity_map.vias_of(session, stale.live)
    partly = {customer: about for customer in vias if (about := concerns.done(stale.concerns.get(customer)))}
    known = await queries.rows(session, partly) if partly else {}
    known = {customer: row for customer, row in known.items() if row["as_of"] is not None}
    whole = [customer for customer in vias if customer not in known]
    await queries.refresh(session, whole, now)
    await indexing.follow(session, [*whole, *stale.gone])
    vault, seen = sealing.vault_of(session), await queries.seen(session, vias)
    drafts = {}
    for customer, row in {**known, **await queries.rows(session, whole)}.items():
        drafts[customer] = Draft(
            customer,
            vias[customer],
            stale.live[customer],
            row,
            sealing.opened_traits(vault, row["traits"]),
            about=partly[customer] if customer in known else None,
            seen=seen.get(customer, UNSEEN),
        )
    stood = await clock.standing(session, {*stale.gone, *(via for draft in drafts.values() for via in draft.vias)})
    for (kind, owner), due in stood.items():
        if owner in drafts:
            drafts[owner].due[kind] = due
    for part in PARTS:
        await part(session, drafts, now)
    await clock.keep(session, drafts, stood)
    await queries.write(session, list(drafts.values()), now)
    await indexing.seen(session, drafts)


DERIVATION = Derivation(compute, live=500, concerned=True)
