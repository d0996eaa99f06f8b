"""Derive where customers stand in the life cycle: what staff said, else the last stage whose rule holds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row

from perennial.common import rules
from perennial.common.contracts.base import Event
from perennial.common.contracts.profile import CustomerStage, StageChanged, StagesChanged
from perennial.common.db import WriteSession
from perennial.common.derive import mark
from perennial.common.outbox import emit
from perennial.common.rules import Predicate, View
from perennial.common.rules.changes.flip import Flip
from perennial.common.timers import Timer
from perennial.profile.rows import clock
from perennial.profile.rows.drafts import Draft
from perennial.profile.stages import queries
from perennial.profile.tags.definitions.compiled import Reads, reads_of
from perennial.profile.tags.derivation import views
from perennial.profile.timeline import facts as timeline

RULE = "rule:"
PER_FACT = 1000


class Stage(NamedTuple):
    """A stage, ready to be asked."""

    key: str
    requires: str | None
    holds: Predicate
    flips: Flip


@dataclass(frozen=True, slots=True)
class Ladder:
    """The ladder in use."""

    key: str
    version: int
    stages: Sequence[Stage]
    reads: Reads


@dataclass(slots=True)
class Stand:
    """Where a customer stands, by what, and when the clock may change it."""

    stage: str | None
    by: str
    due: datetime | None = None


@dataclass(slots=True)
class Move:
    """A step of one customer; `back`: the history ends there already."""

    customer: UUID
    ladder: str
    stage: str | None
    previous: str | None
    by: str
    since: datetime
    version: int = 0
    back: bool = False

    def row(self) -> dict[str, Any]:
        """Of `customer_stage`."""
        named = ("ladder", "stage", "since", "by", "version")
        return {"customer_id": self.customer, **{name: getattr(self, name) for name in named}}

    def step(self, now: datetime) -> dict[str, Any]:
        """Of the history."""
        step = {"before": self.previous, "after": self.stage, "by": self.by, "at": now}
        return {"customer_id": self.customer, "ladder": self.ladder, **step}

    def state(self, *, live: bool) -> CustomerStage:
        """For whoever keeps a copy."""
        return CustomerStage(
            customer=self.customer, ladder=self.ladder, stage=self.stage, since=self.since, version=self.version,
            live=live,
        )  # fmt: skip

    def fact(self, now: datetime) -> StageChanged:
        """For whoever acts on it."""
        return StageChanged(
            customer=self.customer, ladder=self.ladder, stage=self.stage, previous=self.previous,
            version=self.version, occurred_at=now,
        )  # fmt: skip


@lru_cache(maxsize=16)
def compiled(key: str, version: int, stages: str) -> Ladder:
    """A ladder of its row, with the stages as a text."""
    documents = json.loads(stages)
    asked = [rules.parse(document["rule"]) for document in documents]
    ready = [
        Stage(document["key"], document.get("requires"), rules.compile(rule), rules.flips(rule))
        for document, rule in zip(documents, asked, strict=True)
    ]
    return Ladder(key, version, ready, reads_of(asked))


async def in_use(session: WriteSession) -> Ladder | None:
    """The ladder in use; None before there is one."""
    row = await queries.active(session)
    return None if row is None else compiled(row.key, row.version, row.stages)


async def derive(session: WriteSession, drafts: Mapping[UUID, Draft], now: datetime) -> None:
    """The part of `rows.service.compute` that fills `stage`."""
    ladder = await in_use(session)
    owners = {via: draft.id for draft in drafts.values() for via in draft.vias}
    before = {row.customer_id: row for row in await queries.before(session, owners)}
    stands = {} if ladder is None else await _stands(session, ladder, drafts, owners, now)
    for customer, stand in stands.items():
        drafts[customer].stage = stand.stage
    await _write(session, drafts, ladder, stands, before, now)
    for customer, draft in drafts.items():
        draft.falls_due(clock.STAGES, stands[customer].due if customer in stands else None)


async def _stands(
    session: WriteSession, ladder: Ladder, drafts: Mapping[UUID, Draft], owners: Mapping[UUID, UUID], now: datetime
) -> dict[UUID, Stand]:
    said = await queries.said(session, list(drafts))
    been: dict[UUID, set[str]] = {customer: set() for customer in drafts}
    if any(stage.requires for stage in ladder.stages):
        for row in await queries.reached(session, owners, ladder.key):
            been[owners[row.customer_id]].add(row.after)
    facts = await views.load(session, dict.fromkeys(drafts, ladder.reads), ladder.reads, now)
    return {
        customer: _stand(ladder, said.get(customer), draft, facts.of(draft), been[customer], now)
        for customer, draft in drafts.items()
    }


def _stand(ladder: Ladder, said: Row[Any] | None, draft: Draft, view: View, been: set[str], now: datetime) -> Stand:
    """A stage that was taken out of the ladder, or that staff said of another one, is nobody's.

    Of whom but events are new, a timer that is sooner stands: it may fire once too early, and need not move.
    """
    until = None if draft.about is None else draft.due.get(clock.STAGES)
    known = {stage.key for stage in ladder.stages}
    if said is not None and said.ladder == ladder.key and said.stage in known:
        if said.expires_at is None:
            return Stand(said.stage, said.by, until)
        if said.expires_at > now:
            return Stand(said.stage, said.by, min(until or said.expires_at, said.expires_at))
    found = Stand(None, f"{RULE}{ladder.key}:{ladder.version}", until)
    for stage in ladder.stages:
        holds = stage.holds(view, now)
        found.due = stage.flips(view, now, holds, found.due) or found.due
        if holds and (stage.requires is None or stage.requires in been):
            found.stage = stage.key
            been.add(stage.key)
    return found


async def _write(
    session: WriteSession, drafts: Mapping[UUID, Draft], ladder: Ladder | None, stands: Mapping[UUID, Stand],
    before: Mapping[UUID, Row[Any]], now: datetime,
) -> None:  # fmt: skip
    """Write what is another, keep the history, say so; single facts only where something live was the cause."""
    standing = {customer: stand for customer, stand in stands.items() if stand.stage is not None}
    moves = [] if ladder is None else await _moves(session, ladder, standing, before, now)
    gone = [row for customer, row in before.items() if customer not in standing]
    numbers = iter(await queries.versions(session, len(moves) + len(gone)))
    for move in moves:
        move.version = next(numbers)
    left = [Move(row.customer_id, row.ladder, None, row.stage, row.by, now, next(numbers)) for row in gone]
    await queries.remove(session, [move.customer for move in left])
    await queries.write(session, [move.row() for move in moves])
    # Who was merged into another keeps the history as it was: an undone merge leaves no trace in it.
    steps = [move for move in (*moves, *left) if move.customer in drafts and not move.back]
    await queries.note(session, [move.step(now) for move in steps])
    live = {customer for customer, draft in drafts.items() if draft.live}
    states = [move.state(live=move.customer in live) for move in (*moves, *left)]
    facts: list[Event] = [
        StagesChanged(customers=states[start : start + PER_FACT], occurred_at=now)
        for start in range(0, len(states), PER_FACT)
    ]
    changed = [move.fact(now) for move in steps if drafts[move.customer].live and move.stage != move.previous]
    await emit(session, *facts, *changed)
    await timeline.note(session, changed)


async def _moves(
    session: WriteSession, ladder: Ladder, standing: Mapping[UUID, Stand], before: Mapping[UUID, Row[Any]],
    now: datetime,
) -> list[Move]:  # fmt: skip
    """Who stands elsewhere than before; whoever is back where the own history ended was never away."""
    moved = [customer for customer, stand in standing.items() if _differs(before.get(customer), ladder, stand)]
    known = await queries.latest(session, [customer for customer in moved if customer not in before])
    found = []
    for customer in moved:
        stand, ago, last = standing[customer], before.get(customer), known.get(customer)
        move = Move(customer, ladder.key, stand.stage, None, stand.by, now)
        if ago is not None and ago.ladder == ladder.key:
            move.previous = ago.stage
        if ago is None and last is not None and (last.ladder, last.after) == (ladder.key, stand.stage):
            move.since, move.back = last.at, True
        found.append(move)
    return found


def _differs(known: Row[Any] | None, ladder: Ladder, stand: Stand) -> bool:
    """Another stage, or another kind of reason for it; a rule keeps the version by which the customer came."""
    if known is None or (known.ladder, known.stage) != (ladder.key, stand.stage):
        return True
    return bool(known.by != stand.by and not (known.by.startswith(RULE) and stand.by.startswith(RULE)))


async def flip(session: WriteSession, fired: Sequence[Timer]) -> None:
    """The clock has come to where a stage may change."""
    await mark(session, {UUID(timer.payload["customer"]) for timer in fired}, live=True)
