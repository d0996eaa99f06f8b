"""Why a customer is in a segment, or is not."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from perennial.common import identity_map, masks, rules
from perennial.common.auth import Principal
from perennial.common.db import ReadSession
from perennial.common.problems import NotFound
from perennial.common.rules import Explanation
from perennial.common.rules.facts import load_views
from perennial.segments.lists import queries as lists
from perennial.segments.memberships import service


@dataclass(frozen=True)
class Explained:
    """A customer of today, whether they are listed as a member, and the tree of reasons.

    Of a list there is no tree: `noted` are the rows (at, by) of whoever put the customer on it.
    """

    customer: UUID
    member: bool
    at: datetime
    version: int
    reason: Explanation | None
    noted: list[Row[Any]]


async def today(session: ReadSession, any_id: UUID) -> UUID:
    """The customer of today with this id, old ones included. Raises NotFound."""
    customer = await identity_map.customer_of(session, any_id)
    if customer is None:
        raise NotFound("customer: there is none with this id", pointer="path/customer_id")
    return customer


async def explain(session: ReadSession, who: Principal, row: Row[Any], any_id: UUID) -> Explained:
    """The rule's tree with what each leaf saw, by the version that serves.

    Raises NotFound, and Forbidden where the rule compares what is masked for who asks.
    """
    customer, now = await today(session, any_id), datetime.now(UTC)
    member = await service.is_member(session, row.id, customer)
    version = row.serving_version or row.version
    document = row.serving_rule or row.rule
    if document is None:
        noted = await lists.noted(session, row.id, customer)
        return Explained(customer, member, now, version, None, list(noted))
    rule = rules.parse(document)
    masks.check_rule(who, rule)
    views = await load_views(session, [customer], rules.footprint(rule).in_detail(), now)
    return Explained(customer, member, now, version, rules.explain(rule, views[customer], now), [])
