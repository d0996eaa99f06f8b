"""What a cart would earn, by the rules, the caps and the tier of now; nothing is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from perennial.common import commerce, identity_map
from perennial.common.commerce import ORDER_COMPLETED
from perennial.common.contracts.base import utc_now
from perennial.common.db import ReadSession, settings_of
from perennial.common.rules.sentences.phrases import Language
from perennial.loyalty.earning.asking import worth_of
from perennial.loyalty.earning.explaining.answers import NOBODY, Answer, answers
from perennial.loyalty.earning.facts import Facts
from perennial.loyalty.earning.known import Known, know, remember
from perennial.loyalty.programme import service as programmes
from perennial.loyalty.programme.definition import Currency
from perennial.loyalty.programme.earning import Earner, in_force


@dataclass(frozen=True)
class Brings:
    """Points of one currency; `active_at` is None while nobody can say when, for they wait for the delivery."""

    currency: str
    points: int
    active_at: datetime | None
    expires_at: datetime | None


@dataclass(frozen=True)
class Preview:
    """What an event would bring, and why."""

    customer_id: UUID | None
    version: int
    tier: str | None
    points: Sequence[Brings]
    rules: Sequence[Answer]


async def preview(
    session: ReadSession, customer: UUID | None, event: str, source: str, properties: Mapping[str, Any],
    at: datetime | None, language: Language,
) -> Preview:  # fmt: skip
    """What an event would earn; without a customer for somebody new, whose first order it is."""
    now, zone = at or utc_now(), settings_of(session).zone
    earners = await programmes.history(session)
    earner, name = in_force(earners, now), commerce.canonical(event)
    via = customer or NOBODY
    facts = Facts(via, now, source, properties, worth_of(name, properties), zone, first_order=True)
    known = Known({})
    if customer is not None:
        vias = {customer, *(await identity_map.vias_of(session, [customer])).get(customer, ())}
        known = await know(session, [earner], vias)
        await remember(session, known, [earner], vias, [now], zone)
    facts = known.facts(earner, facts)
    if name == ORDER_COMPLETED:
        facts = replace(facts, first_order=known.first(facts.via, facts.at, NOBODY))
    found = answers(earner, name, facts, known.room(earner, NOBODY, facts), language)
    total: dict[str, int] = {}
    for answer in found:
        total[answer.currency] = total.get(answer.currency, 0) + answer.points
    brings = [_brings(earner, code, points, facts, name) for code, points in sorted(total.items()) if points]
    return Preview(customer, earner.programme.version, facts.tier, brings, found)


def _brings(earner: Earner, code: str, points: int, facts: Facts, name: str) -> Brings:
    rules = earner.programme.currency(code)
    expires_at = rules.expiry.after(facts.at, facts.zone)
    return Brings(code, points, _active_at(rules, facts.at, name), expires_at)


def _active_at(rules: Currency, at: datetime, name: str) -> datetime | None:
    if name != ORDER_COMPLETED or rules.pending_until == "earned":
        return at + timedelta(days=rules.pending_days)
    most = rules.pending_at_most_days
    return None if most is None else at + timedelta(days=most)
