"""The verbs of content: hear of it, decide about it; approved it earns, removed it loses that."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row

from perennial.common import audit, derive
from perennial.common.auth import Principal
from perennial.common.contracts.base import utc_now
from perennial.common.contracts.loyalty import PointsReversed
from perennial.common.db import ReadSession, WriteSession
from perennial.common.ids import digest_uuid
from perennial.common.web import Conflict, NotFound
from perennial.loyalty.earning import booking
from perennial.loyalty.earning import service as earning
from perennial.loyalty.earning.booking import again, lot_id
from perennial.loyalty.earning.content import queries
from perennial.loyalty.earning.content.definition import ContentRule, State
from perennial.loyalty.earning.content.queries import Content
from perennial.loyalty.earning.known import hold
from perennial.loyalty.earning.service import Happening
from perennial.loyalty.orders import reversing
from perennial.loyalty.points import queries as ledger
from perennial.loyalty.points import service as points
from perennial.loyalty.points.posting import Lot, Posting
from perennial.loyalty.programme import service as programmes
from perennial.loyalty.programme.earning import Earner, in_force

log = structlog.get_logger()

BY_EVENT, BY_ITSELF = "event", "programme"
FROM: dict[State, frozenset[State]] = {
    "approved": frozenset({"waiting", "rejected", "removed"}),
    "rejected": frozenset({"waiting"}),
    "removed": frozenset({"approved"}),
}
"""What staff may turn into what; events decide as they like, the latest holds."""


def names(earners: Iterable[Earner]) -> set[str]:
    """The events that tell of content or decide about it, by some version of the programme."""
    return {name for each in earners for rule in each.programme.content for name in (rule.event, *rule.decisions)}


async def hear(session: WriteSession, happenings: Sequence[Happening]) -> list[Happening]:
    """Take over what events say of content; returns the events that are about none."""
    earners = await programmes.history(session)
    about: list[tuple[UUID, ContentRule, Happening]] = []
    rest: list[Happening] = []
    for item in happenings:
        rule = _rule(in_force(earners, item.at), item.name)
        key = None if rule is None else _word(item.properties.get(rule.key))
        if rule is None:
            rest.append(item)
        elif key:
            about.append((digest_uuid("content", item.source, rule.kind, key), rule, item))
    if about:
        await _take_over(session, earners, sorted(about, key=lambda each: (each[2].at, each[2].id)))
    return rest


def _rule(earner: Earner, name: str) -> ContentRule | None:
    return next((rule for rule in earner.programme.content if name == rule.event or name in rule.decisions), None)


def _word(value: object) -> str:
    return "" if value is None or isinstance(value, dict | list | bool) else str(value).strip()[:255]


async def _take_over(
    session: WriteSession, earners: Sequence[Earner], about: Sequence[tuple[UUID, ContentRule, Happening]]
) -> None:
    named = {(key, item.source, rule.kind, _word(item.properties.get(rule.key))) for key, rule, item in about}
    known = await queries.hold(session, named)
    before = {key: item.state for key, item in known.items()}
    for key, rule, item in about:
        _tell(known[key], rule, item)
    await _settle(session, earners, known.values(), before, {key: item.live for key, _, item in about})
    await queries.put(session, list(known.values()))


def _tell(found: Content, rule: ContentRule, item: Happening) -> None:
    """The first telling holds, and the latest decision."""
    if item.name != rule.event:
        if found.decided_at is None or found.decided_by == BY_ITSELF or item.at > found.decided_at:
            found.state, found.decided_at, found.decided_by = rule.decisions[item.name], item.at, BY_EVENT
        return
    if found.at is None:
        found.via, found.name, found.at, found.live = item.via, item.name, item.at, item.live
        found.properties = dict(item.properties)
    if rule.moderation == "none" and found.decided_at is None:
        found.state, found.decided_at, found.decided_by = "approved", item.at, BY_ITSELF


async def decide(session: WriteSession, principal: Principal, content_id: UUID, state: State, note: str | None) -> None:
    """Approve, reject or remove content, as staff. Raises NotFound, Conflict."""
    found = (await queries.lock(session, [content_id])).get(content_id)
    if found is None or found.at is None:
        raise NotFound(f"content_id: there is no content {content_id}", pointer="path/content_id")
    if found.state not in FROM[state]:
        raise Conflict(f"content_id: it is {found.state} already", code="decided", pointer="path/content_id")
    before = {found.id: found.state}
    found.state, found.decided_at, found.decided_by, found.note = state, utc_now(), principal.id, note
    await _settle(session, await programmes.history(session), [found], before, {found.id: found.live})
    await queries.put(session, [found])
    await audit.record(session, principal, f"content.{state}", str(content_id), {"kind": found.kind})


async def _settle(
    session: WriteSession, earners: Sequence[Earner], items: Iterable[Content], before: Mapping[UUID, State],
    live: Mapping[UUID, bool],
) -> None:  # fmt: skip
    """Reward what has come to be approved, and take back what is so no longer."""
    told = [item for item in items if item.at is not None and item.via is not None]
    gone = [item for item in told if item.rounds and before[item.id] == "approved" != item.state]
    if gone:
        await _take_back(session, earners, gone, live)
    new = [item for item in told if item.state == "approved" and not item.rounds]
    back = [item for item in told if item.state == "approved" != before[item.id] and item.rounds]
    await earning.earn(session, [_happening(item, live=live[item.id]) for item in new])
    if back:
        await _give_again(session, earners, back, live)
    for item in (*new, *back):
        item.rounds += 1


def _happening(item: Content, *, live: bool) -> Happening:
    assert item.via is not None and item.at is not None and item.name is not None  # noqa: S101, PT018 (it was told)
    return Happening(item.id, item.via, item.name, item.source, item.at, live, item.properties)


async def _take_back(
    session: WriteSession, earners: Sequence[Earner], items: Sequence[Content], live: Mapping[UUID, bool]
) -> None:
    """Reverse what content brought, as the currency's policy has it."""
    vias = {item.via for item in items if item.via is not None}
    await hold(session, vias)
    await reversing.hold(session, vias)
    owners, purses = await reversing.purses_of(session, vias)
    made: list[tuple[Content, Posting]] = []
    for item, mine in await _lots(session, earners, items):
        at = max([item.decided_at or utc_now(), *(lot.earned_at for lot in mine)])
        programme = in_force(earners, item.at or at).programme
        cutting = reversing.Cutting(programme, at, at, f"{item.kind} {item.state}", item.key)
        wanted = {lot.currency: lot.standing for lot in mine}
        made += [(item, posting) for posting in cutting.cut(mine, wanted, owners, purses)]
    facts = [_reversed(posting, owners) for item, posting in made if live[item.id]]
    await points.book(session, [posting for _, posting in made], (), *facts)
    await derive.mark(session, {owners.get(via, via) for via in vias}, live=True)
    log.info("content.taken_back", content=len(items), points=-sum(each.points + each.pending for _, each in made))


async def _give_again(
    session: WriteSession, earners: Sequence[Earner], items: Sequence[Content], live: Mapping[UUID, bool]
) -> None:
    """What was taken back of content comes again, as old as it was; no rule is asked a second time."""
    await hold(session, {item.via for item in items if item.via is not None})
    await booking.book(session, [
        booking.Earned(
            again(item.id, item.rounds), item.via, item.at, {lot.currency: lot.reversed for lot in lots},
            item.name or item.kind, item.key, live[item.id], in_force(earners, item.at).programme,
        )
        for item, lots in await _lots(session, earners, items)
        if item.via is not None and item.at is not None
    ])  # fmt: skip


async def _lots(
    session: ReadSession, earners: Sequence[Earner], items: Sequence[Content]
) -> list[tuple[Content, list[Lot]]]:
    """The lots that content brought when it was rewarded last."""
    codes = sorted({currency.code for earner in earners for currency in earner.programme.currencies})
    keys = {item.id: [lot_id(again(item.id, item.rounds - 1), code) for code in codes] for item in items}
    found = {lot.id: lot for lot in await ledger.lots(session, [key for each in keys.values() for key in each])}
    return [(item, [found[key] for key in keys[item.id] if key in found]) for item in items]


def _reversed(posting: Posting, owners: Mapping[UUID, UUID]) -> PointsReversed:
    return PointsReversed(
        posting_id=posting.id, via=posting.via, customer=owners.get(posting.via, posting.via),
        points=-posting.points - posting.pending, reference=posting.reference, currency=posting.currency,
        occurred_at=posting.at,
    )  # fmt: skip


async def get(session: ReadSession, content_id: UUID) -> Row[Any]:
    """A piece of content. Raises NotFound."""
    found = await queries.find(session, content_id)
    if found is None:
        raise NotFound(f"content_id: there is no content {content_id}", pointer="path/content_id")
    return found


async def brought(session: ReadSession, rounds: Mapping[UUID, int]) -> dict[UUID, dict[str, int]]:
    """What stands of what content brought, by currency; given how often each was rewarded."""
    codes = {currency.code for each in await programmes.history(session) for currency in each.programme.currencies}
    lots = {lot_id(again(key, n), code): key for key, times in rounds.items() for n in range(times) for code in codes}
    found: dict[UUID, dict[str, int]] = {key: {} for key in rounds}
    for lot, (currency, standing) in (await queries.points(session, list(lots))).items():
        of = found[lots[lot]]
        of[currency] = of.get(currency, 0) + standing
    return found


async def rules(session: ReadSession, moments: Mapping[UUID, tuple[datetime, str]]) -> dict[UUID, ContentRule | None]:
    """Which properties say what, of content by the time and the name of its event."""
    earners = await programmes.history(session)
    return {key: _rule(in_force(earners, at), name) for key, (at, name) in moments.items()}
