"""Why an order, an event or a posting brought the points that it did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Row

from perennial.common import identity_map
from perennial.common.commerce import ORDER_COMPLETED
from perennial.common.db import ReadSession, settings_of
from perennial.common.ids import digest_uuid
from perennial.common.rules.sentences.phrases import Language
from perennial.common.web import NotFound
from perennial.loyalty.earning import queries as earned
from perennial.loyalty.earning.booking import again, lot_id
from perennial.loyalty.earning.checkin.queries import CHECK_IN
from perennial.loyalty.earning.explaining import queries
from perennial.loyalty.earning.explaining.answers import Answer, Given, answers
from perennial.loyalty.earning.facts import Facts, restored
from perennial.loyalty.orders import queries as orders
from perennial.loyalty.orders.facts import Purchase, Stated
from perennial.loyalty.programme import service as programmes
from perennial.loyalty.programme.earning import Earner, in_force

MOST_ROUNDS = 100  # nobody approves a thing more often


@dataclass(frozen=True)
class Cause:
    """What was asked about. `missing` says why no rule was: an order that nobody has completed."""

    kind: Literal["order", "event", "check-in"]
    name: str
    source: str
    reference: str | None
    via: UUID | None
    at: datetime | None
    version: int | None
    told: Mapping[str, Any]
    rules: Sequence[Answer]
    lots: Sequence[Row[Any]]
    refunds: Sequence[Row[Any]] = ()
    waived: Mapping[str, int] = field(default_factory=dict)
    missing: Literal["completion"] | None = None


@dataclass(frozen=True)
class Explained:
    """A posting with the lots that it brought, changed or used, and what it goes back to."""

    posting: Row[Any]
    lots: Sequence[Row[Any]]
    uses: Sequence[queries.Used]
    cause: Cause | None


async def of_order(session: ReadSession, source: str, order_id: str, language: Language) -> Cause:
    """Why an order earned what it did. Raises NotFound."""
    found = await _purchase(session, digest_uuid(source, order_id), language)
    if found is None:
        raise NotFound(f"order_id: nothing is known of an order {order_id} of {source}", pointer="query/order_id")
    return found


async def of_event(session: ReadSession, source: str, message_id: str, language: Language) -> Cause:
    """Why an event earned what it did. Raises NotFound where no rule was about events of that name."""
    found = await _activity(session, digest_uuid(source, message_id), language)
    if found is None:
        raise NotFound(
            f"message_id: no rule was asked about an event {message_id} of {source}", pointer="query/message_id"
        )
    return found


async def of_posting(session: ReadSession, customer: UUID, posting_id: UUID, language: Language) -> Explained:
    """What a line of a customer's ledger goes back to. Raises NotFound."""
    vias = (await identity_map.vias_of(session, [customer])).get(customer, [customer])
    posting = await queries.posting(session, vias, posting_id)
    if posting is None:
        raise NotFound(f"posting_id: the customer has no posting {posting_id}", pointer="path/posting_id")
    used = await queries.uses(session, posting_id)
    lots = await queries.lots(session, [posting.lot_id] if posting.lot_id else [use.lot_id for use in used])
    cause = None
    if posting.lot_id and lots:
        cause = await _cause(session, lots[0], language)
    return Explained(posting, lots, used, cause)


async def _cause(session: ReadSession, lot: Row[Any], language: Language) -> Cause | None:
    if lot.purchase_id is not None:
        return await _purchase(session, lot.purchase_id, language)
    for key in await queries.activities_at(session, lot.via, lot.earned_at):
        if lot.id in {lot_id(again(key, rounds), lot.currency) for rounds in range(MOST_ROUNDS)}:
            return await _activity(session, key, language)
    return None


async def _purchase(session: ReadSession, key: UUID, language: Language) -> Cause | None:
    item = await orders.find(session, key)
    if item is None:
        return None
    stated, refunds = item.stated, await queries.refunds(session, key)
    if stated is None or item.completed is None or item.via is None:
        return Cause("order", ORDER_COMPLETED, item.source, item.order_id, item.via, None, None, {}, [], [], refunds,
                     missing="completion")  # fmt: skip
    earners = await programmes.history(session)
    earner = _version(earners, stated)
    facts = _facts(session, item, stated)
    given = await earned.uses_of(session, key) if earner.limited else {}
    claims = None if stated.told is None else stated.told["claims"]
    return Cause(
        "order", ORDER_COMPLETED, item.source, item.order_id, item.via, item.completed.at, earner.programme.version,
        {"amount": str(stated.amount), **(stated.told or {})},
        answers(earner, ORDER_COMPLETED, facts, Given(earner, given), language, claims),
        await queries.lots_of_purchase(session, key, item.via, item.completed.at), refunds, item.waived,
    )  # fmt: skip


def _version(earners: Sequence[Earner], stated: Stated) -> Earner:
    if stated.told is None:
        return in_force(earners, stated.at)
    return next(earner for earner in earners if earner.programme.version == stated.told["version"])


def _facts(session: ReadSession, item: Purchase, stated: Stated) -> Facts:
    told = stated.told or {"amount": str(stated.amount)}
    return restored(told, item.via or item.id, stated.at, item.source, settings_of(session).zone)


async def _activity(session: ReadSession, key: UUID, language: Language) -> Cause | None:
    item = await earned.activity(session, key)
    if item is None:
        return None
    earners = await programmes.history(session)
    earner = next(each for each in earners if each.programme.version == item.told["version"])
    lots = await queries.lots(session, [lot_id(key, code) for code in _codes(earners)])
    rules: list[Answer] = []
    if item.name != CHECK_IN:
        facts = restored(item.told, item.via, item.at, item.source, settings_of(session).zone)
        given = await earned.uses_of(session, key) if earner.limited else {}
        rules = answers(earner, item.name, facts, Given(earner, given), language, item.told["claims"])
    kind: Literal["check-in", "event"] = "check-in" if item.name == CHECK_IN else "event"
    return Cause(
        kind, item.name, item.source, None, item.via, item.at, earner.programme.version, item.told, rules, lots
    )  # fmt: skip


def _codes(earners: Sequence[Earner]) -> list[str]:
    return sorted({currency.code for earner in earners for currency in earner.programme.currencies})
