"""Derive the tags that customers show: what they were given, what rules say, what their words say."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from perennial.common.contracts.profile import CustomerTags, TagsChanged
from perennial.common.db import WriteSession
from perennial.common.derive import mark
from perennial.common.ids import uuid7
from perennial.common.outbox import emit
from perennial.common.rules.values.scalars import number
from perennial.common.timers import Timer
from perennial.profile.rows import clock
from perennial.profile.rows.drafts import Draft
from perennial.profile.tags.definitions import compiled
from perennial.profile.tags.definitions import queries as definitions
from perennial.profile.tags.definitions.compiled import Serving, Share, Tag
from perennial.profile.tags.derivation import needs, queries, views
from perennial.profile.tags.derivation.views import Facts
from perennial.profile.timeline import facts as timeline
from perennial.profile.timeline.facts import Told

PER_FACT = 5_000  # tags, so that a fact stays far below what a message may hold
MOST_DIFFERENT = 64  # sets of events in a batch: for each what is to be asked is put together
BREATH = 20  # customers between two looks at what else the process has to do

Known = dict[tuple[UUID, str], Row[Any] | None]  # what customers show; None: by a rule, and the row was not read


@dataclass(slots=True)
class Found:
    """The tags of one customer, by key, and when the clock may change them; `kept` stand without being asked."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    due: datetime | None = None

    @property
    def keys(self) -> list[str]:
        """All that the customer shows."""
        return sorted(self.kept.union(self.rows))

    def until(self, at: datetime) -> None:
        """The clock may change something then."""
        if self.due is None or at < self.due:
            self.due = at


async def derive(session: WriteSession, drafts: Mapping[UUID, Draft], now: datetime) -> None:
    """The part of `rows.service.compute` that fills `tags`."""
    serving = compiled.serving(await definitions.serving(session))
    asked = _asked(serving, drafts)
    owners = {via: draft.id for draft in drafts.values() if draft.about is None for via in draft.vias}
    before = await queries.before(session, owners)
    found = await evaluate(session, serving, drafts, asked, now)
    since: dict[tuple[UUID, str], datetime] = {}
    for row in before:  # of both sides of a merge the one that has it longer
        pair = owners[row.customer_id], row.key
        since[pair] = min(since.get(pair, row.since), row.since)
    for customer, tags in found.items():
        for key, shown in tags.rows.items():
            shown["since"] = shown["since"] or since.get((customer, key), now)
        drafts[customer].tags = tags.keys
        drafts[customer].falls_due(clock.TAGS, tags.due)
    known: Known = {(row.customer_id, row.key): row for row in before}
    known |= {(customer, key): None for customer, draft in drafts.items() for key in _asked_of(draft, asked[customer])}
    await _write(session, found, known, now, {customer for customer, draft in drafts.items() if draft.live})
    await timeline.tell(session, news(drafts, before, now))


def _asked(serving: Serving, drafts: Mapping[UUID, Draft]) -> dict[UUID, Serving]:
    """What to ask of each: of whom but events are new, what looks at these; at those of all where they differ much."""
    names = {customer: draft.about.names for customer, draft in drafts.items() if draft.about is not None}
    if len(set(names.values())) > MOST_DIFFERENT:
        names = dict.fromkeys(names, frozenset[str]().union(*names.values()))
    return {customer: serving.about(names[customer]) if customer in names else serving for customer in drafts}


def _asked_of(draft: Draft, asked: Serving) -> set[str]:
    """Of a customer of whom not all is asked, the tags shown before that are asked again: each by its rule."""
    return set() if draft.about is None else asked.ruled.keys() & (draft.before or {})["tags"]


def news(drafts: Mapping[UUID, Draft], before: Sequence[Row[Any]], now: datetime) -> list[Told]:
    """For the timelines of those whom something live has changed: the tags that came and went."""
    known: dict[UUID, set[str]] = {}
    for row in before:
        known.setdefault(row.customer_id, set()).add(row.key)
    told = []
    for draft in drafts.values():
        was, is_ = known.get(draft.id, set()), set(draft.tags)
        if draft.about is not None:
            was = set((draft.before or {})["tags"])
        if draft.live and was != is_:
            body = {"added": sorted(is_ - was), "removed": sorted(was - is_)}
            told.append(Told(uuid7(), draft.id, "tag.changed", now, body))
    return told


async def evaluate(
    session: WriteSession, serving: Serving, drafts: Mapping[UUID, Draft], asked: Mapping[UUID, Serving], now: datetime
) -> dict[UUID, Found]:
    """The tags of each customer by today's definitions; a row without `since` holds from now on.

    Of whom but events are new the rules alone that look at these are asked: all else stands, and its timer, which may
    fire once too early.
    """
    found = {customer: Found() for customer in drafts}
    whole = [customer for customer, draft in drafts.items() if draft.about is None]
    for row in await queries.given(session, whole) if whole else ():
        _give(serving, found[row.customer_id], row, now)
    if serving.needs and whole:
        texts = await queries.said(session, whole, now, serving.look_back)
        for customer, said in texts.items():
            _hear(serving.needs, found[customer], said, now)
    for customer, draft in drafts.items():
        if draft.about is not None:
            found[customer].kept = set((draft.before or {})["tags"]) - asked[customer].ruled.keys()
            found[customer].due = draft.due.get(clock.TAGS)
    facts = await views.load(session, {customer: one.reads for customer, one in asked.items()}, serving.reads, now)
    for position, (customer, draft) in enumerate(drafts.items()):
        if position % BREATH == 0:
            await asyncio.sleep(0)
        _ask(asked[customer], found[customer], draft, facts, now)
    return found


def _row(by: str, **told: Any) -> dict[str, Any]:
    return {"since": None, "by": by, "why": None, "expires_at": None, "score": None, **told}


def _give(serving: Serving, found: Found, row: Row[Any], now: datetime) -> None:
    if row.key not in serving.given or not row.held or (row.expires_at is not None and row.expires_at <= now):
        return
    found.rows[row.key] = _row(row.by, since=row.at, why=row.why, expires_at=row.expires_at)
    if row.expires_at is not None:
        found.until(row.expires_at)


def _hear(asked: Sequence[Tag], found: Found, said: Sequence[Row[Any]], now: datetime) -> None:
    touched = {topic for text in said for topic in text.topics}
    told = touched or any(text.polarity is not None for text in said)
    for tag in asked if told else ():
        if tag.need is not None and tag.need.topics and not tag.need.topics & touched:
            continue
        if tag.need is not None and (strength := needs.score(tag.need, said, now)) >= tag.need.threshold:
            found.rows[tag.key] = _row(tag.lineage, score=round(strength, 3))
            found.until(needs.fades(tag.need, strength, now))


def _ask(serving: Serving, found: Found, draft: Draft, facts: Facts, now: datetime) -> None:
    """Rules that look at no tag of a rule come first, so that the others see the same tags in whatever order."""
    if serving.shares:
        traits = {**draft.traits, **draft.computed}
        for tag in serving.shares:
            if tag.share is not None and within(tag.share, traits.get(tag.share.trait)):
                found.rows[tag.key] = _row(tag.lineage)
    for tags in (serving.early, serving.late):
        if not tags:
            continue
        draft.tags = found.keys
        view = facts.of(draft)
        for tag in tags.touched(view):
            if tag.holds is None or tag.flips is None:
                continue
            holds = tag.holds(view, now)
            if holds:
                found.rows[tag.key] = _row(tag.lineage)
            found.due = tag.flips(view, now, holds, found.due) or found.due


def within(share: Share, value: object) -> bool:
    """Whether a customer's number lies in the share; nobody does before the first count."""
    found = None if share.cut is None else number(value)
    if found is None or share.cut is None:
        return False
    return found >= share.cut if share.top else found <= share.cut


async def _write(
    session: WriteSession, found: Mapping[UUID, Found], known: Known, now: datetime, live: set[UUID]
) -> None:
    """Write what is another, and say who shows what since."""
    wanted = {(customer, key): row for customer, tags in found.items() for key, row in tags.rows.items()}
    gone = [pair for pair in known if pair not in wanted]
    await queries.remove(session, gone)
    await queries.write(
        session,
        [
            {"customer_id": customer, "key": key, **row}
            for (customer, key), row in wanted.items()
            if (customer, key) not in known or _differs(known[customer, key], row)
        ],
    )
    added: dict[UUID, list[str]] = {}
    removed: dict[UUID, list[str]] = {}
    for customer, key in sorted(wanted.keys() - known.keys()):
        added.setdefault(customer, []).append(key)
    for customer, key in sorted(gone):
        removed.setdefault(customer, []).append(key)
    changed = sorted(added.keys() | removed.keys())
    numbers = await queries.versions(session, len(changed)) if changed else []
    states = [
        CustomerTags(
            customer=customer,
            version=version,
            tags=found[customer].keys if customer in found else [],
            added=added.get(customer, []),
            removed=removed.get(customer, []),
            live=customer in live,
        )
        for customer, version in zip(changed, numbers, strict=True)
    ]
    await emit(session, *(TagsChanged(customers=part, occurred_at=now) for part in _parts(states)))


def _differs(known: Row[Any] | None, row: Mapping[str, Any]) -> bool:
    """Whether a row must be written anew. A rule keeps the version by which a tag came; a score may move a little."""
    if known is None:
        return False
    if row["score"] is not None:
        return abs(Decimal(known.score or 0) - Decimal(str(row["score"]))) >= Decimal("0.1")
    given = not row["by"].startswith(("rule:", "computed:"))
    return given and any(getattr(known, name) != row[name] for name in ("since", "by", "why", "expires_at"))


def _parts(states: Sequence[CustomerTags]) -> Iterator[list[CustomerTags]]:
    part: list[CustomerTags] = []
    size = 0
    for state in states:
        part.append(state)
        size += 1 + len(state.tags) + len(state.added) + len(state.removed)
        if size >= PER_FACT:
            yield part
            part, size = [], 0
    if part:
        yield part


async def flip(session: WriteSession, fired: Sequence[Timer]) -> None:
    """The clock has come to where a tag may change."""
    await mark(session, {UUID(timer.payload["customer"]) for timer in fired}, live=True)
