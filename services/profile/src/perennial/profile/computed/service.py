"""The verbs of computed traits: count events as they come, define, replace, archive."""

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Row

from perennial.common import commerce, identity_map
from perennial.common.auth import Principal
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import ReadSession, WriteSession, settings_of
from perennial.common.derive import mark
from perennial.common.notify import notify
from perennial.common.orders import Info, Said, of_orders, properties
from perennial.common.problems import Conflict, NotFound
from perennial.profile.computed import definitions, discounts, queries
from perennial.profile.computed.checks import checked
from perennial.profile.computed.discounts import Discount
from perennial.profile.computed.partials import Partial, as_row
from perennial.profile.computed.plans import Plan, Position, Root, compiled
from perennial.profile.computed.spec import Spec, feed_of
from perennial.profile.timeline import queries as timeline
from perennial.profile.timeline.kinds import class_of_event
from perennial.profile.timeline.queries import Part
from perennial.profile.timeline.service import happened, is_active, month_of, name_of
from perennial.profile.traits.definitions import schema, telling
from perennial.profile.traits.definitions.presets import PRESETS

BUILDS = "computed"
MOST = 200

Key = tuple[int, int, datetime, str]
Labels = dict[str, str]


async def record(session: WriteSession, events: Sequence[ResolvedEvent]) -> None:
    """Add events to what is kept of them. Comes before orders are written: it looks who owned them until now."""
    await queries.share(session)
    plans = await _plans(session)
    if plans:
        building = any(plan.position is not None for plan in plans)
        unkept = await _unkept(session, events) if building else ()
        await queries.add(session, Plans(plans, unkept).fold(events, session.info))
    ordered = of_orders(events, session.info)
    await discounts.record(session, _discounts(ordered))
    await _mark_owners(session, ordered)


def _discounts(ordered: Iterable[Said]) -> Iterator[Discount]:
    for event, name, said in ordered:
        if name in discounts.NAMES and (discount := commerce.decimal(said.get("discount"))) is not None:
            order_id = commerce.order_id(said)
            if order_id is not None:
                yield Discount(event.source, order_id, event.via, discount, event.timestamp, event.message_id)


async def _unkept(session: WriteSession, events: Sequence[ResolvedEvent]) -> set[Part]:
    """The partitions that the timeline, asked the same a moment ago, was refused."""
    wanted: dict[Part, datetime] = {}
    for event in events:
        part = part_of(event)
        wanted[part] = max(wanted.get(part, event.received_at), event.received_at)
    return wanted.keys() - await timeline.ensure_parts(session, {part: wanted[part] for part in sorted(wanted)})


async def _plans(session: WriteSession) -> list[Plan]:
    settings = settings_of(session)
    found = []
    for row in await queries.feeds(session):
        if row.ready or row.month is not None:
            plan = compiled(row.id, row.spec, settings.zone, settings.currency)
            found.append(plan if row.ready else dataclasses.replace(plan, position=Position(row.month, row.via)))
    return found


async def _mark_owners(session: WriteSession, ordered: Sequence[Said]) -> None:
    """What is said of an order under one identifier changes what the customer of another is shown."""
    said: set[tuple[str, str]] = set()
    live = False
    for event, _, body in ordered:
        order_id = commerce.order_id(body)
        if order_id is not None:
            said.add((event.source, order_id))
            live |= event.live
    others = await queries.owners(session, said)
    if others:
        others -= {event.via for event, _, _ in ordered}  # they are marked by what they said of orders
        owners = await identity_map.customers_of(session, others)
        await mark(session, owners.values(), live=live, settle=not live)


async def define(session: WriteSession, who: Principal, key: str, labels: Labels, asked: Spec) -> None:
    """Declare a trait; it is shown once its past is counted. Raises Conflict when the key is taken."""
    spec = checked(who, key, asked)
    if await definitions.count(session) >= MOST:
        raise Conflict(f"there are {MOST} computed traits already", code="too_many")
    await schema.hold(session)  # nobody may define it as a trait meanwhile
    known = await definitions.one(session, key, lock=True)
    if key in PRESETS or await definitions.declared_otherwise(session, key):
        raise Conflict(f"key: {key!r} is a trait that sources say", code="key_taken", pointer="/key")
    if known is not None and known.state != "archived":
        raise Conflict(f"key: there is a computed trait {key!r}", code="key_taken", pointer="/key")
    await _write(session, key, labels, spec, same=False)


async def replace(session: WriteSession, who: Principal, row: Row[Any], labels: Labels, asked: Spec) -> None:
    """A new version; the one before is served until it is ready. Other labels alone need nothing counted."""
    spec = checked(who, row.key, asked)
    await _write(session, row.key, labels, spec, same=spec.document() == row.spec)


async def _write(session: WriteSession, key: str, labels: Labels, spec: Spec, *, same: bool) -> None:
    feed = None if spec.source == "orders" else await definitions.feed_id(session, feed_of(spec))
    await definitions.write(session, key, labels, spec.document(), feed, same=same)
    await telling.tell_computed(session, key)
    await notify(session, BUILDS)


async def archive(session: WriteSession, key: str) -> None:
    """Show a trait no more."""
    await definitions.archive(session, key)
    await telling.tell_computed(session, key)
    await notify(session, BUILDS)


async def find(session: ReadSession, key: str, *, lock: bool = False) -> Row[Any]:
    """One definition. Raises NotFound, for one that is archived as well."""
    row = await definitions.one(session, key, lock=lock)
    if row is None or row.state == "archived":
        raise NotFound(f"key: there is no computed trait {key!r}", pointer="path/key")
    return row


class Plans:
    """All feeds that events have to be held against.

    What the timeline does not keep (`unkept`) no backfill will see, so it is counted however far that is.
    """

    def __init__(self, plans: Iterable[Plan], unkept: Collection[Part] = ()) -> None:
        self._unkept = unkept
        self._by_name: dict[str, list[Plan]] = defaultdict(list)
        self._by_type: dict[str, list[Plan]] = defaultdict(list)
        for plan in plans:
            for name in plan.feed.events:
                self._by_name[name].append(plan)
            for kind in plan.feed.types:
                self._by_type[kind].append(plan)

    def wanting(self, event: ResolvedEvent, name: str | None) -> list[Plan]:
        """The plans that look at an event; one that names it in two ways looks once."""
        by_type = self._by_type.get(event.type, [])
        by_name = self._by_name.get(name, []) if event.type == "track" and name is not None else []
        if not (by_type and by_name):
            return by_type or by_name
        return [*by_type, *(plan for plan in by_name if plan not in by_type)]

    def fold(self, events: Iterable[ResolvedEvent], info: Info | None = None) -> list[tuple[Any, ...]]:
        """The rows to add, unique and sorted by their key; see `common.orders.properties` for `info`."""
        found: dict[Key, Partial] = defaultdict(Partial)
        vias: dict[int, UUID] = {}
        known: dict[tuple[str, str | None], list[Plan]] = {}
        for event in events:
            called = (event.type, event.name)
            plans = known.get(called)
            if plans is None:
                plans = known[called] = self.wanting(event, name_of(event))
            if not plans:
                continue
            root = root_of(event, name_of(event), info) if any(plan.reads for plan in plans) else {}
            for plan in plans:
                self._take(plan, event, root, found)
            vias[event.via.int] = event.via
        return [as_row((vias[key[0]], *key[1:]), found[key]) for key in sorted(found)]

    def _take(self, plan: Plan, event: ResolvedEvent, root: Root, found: dict[Key, Partial]) -> None:
        at = happened(event)
        if plan.position is not None and not (plan.position.passed(event.via, at) or part_of(event) in self._unkept):
            return
        if plan.feed.keeps == "spans" and not is_active(event):
            return
        if plan.where and not plan.wants(root, at):
            return
        head = (event.via.int, plan.id, plan.bucket(at))
        plan.keep(lambda word: found[*head, word], at, event.id, root)


def stored(row: Mapping[str, Any]) -> ResolvedEvent:
    """An event as the timeline keeps it; whose it is today nobody here asks."""
    kept = {name: row[name] for name in ("id", "via", "source", "message_id", "type", "name", "received_at", "live")}
    body = msgspec.Raw(row["body"].encode())
    return ResolvedEvent(**kept, customer=row["via"], version=0, timestamp=row["timestamp"], body=body)


def part_of(event: ResolvedEvent) -> Part:
    """The partition of the timeline that is for an event."""
    return month_of(happened(event)), class_of_event(event.type, name_of(event))


def root_of(event: ResolvedEvent, name: str | None, info: Info | None = None) -> Root:
    """What paths lead into: the properties, and what is known of the event beside them."""
    root = dict(properties(event, {} if info is None else info))
    root["$source"], root["$type"], root["$name"] = event.source, event.type, name
    return root
