"""The verbs of segment definitions: define, change, archive, try out, explain."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common import identity_map, masks, rules
from perennial.common.auth import Principal
from perennial.common.db import ReadSession, WriteSession
from perennial.common.ids import uuid7
from perennial.common.notify import notify
from perennial.common.problems import Conflict, NotFound, Unprocessable
from perennial.common.rules import Explanation, Rule, RuleError
from perennial.common.rules.facts import load_views
from perennial.segments.definitions import queries
from perennial.segments.memberships import service as memberships

BUILDS = "builds"
SAMPLE = 20
PREVIEW_SECONDS = 15


def read_rule(who: Principal, document: Mapping[str, Any]) -> Rule:
    """The rule of a request. Raises Unprocessable with the path of the fault, Forbidden for a field masked for them."""
    try:
        rule = rules.parse(dict(document))
    except RuleError as error:
        raise Unprocessable(f"rule: {error}", code="invalid_rule", pointer=f"/rule{error.pointer}") from error
    masks.check_rule(who, rule)
    return rule


async def define(session: WriteSession, who: Principal, name: str, document: Mapping[str, Any]) -> UUID:
    """A new segment; it is built right after this transaction."""
    rule = read_rule(who, document)
    await _check_name(session, name, None)
    segment_id = uuid7()
    await _check_references(session, rule, segment_id)
    await queries.insert(session, segment_id, name, json.dumps(rules.dump(rule)))
    await notify(session, BUILDS)
    return segment_id


async def change(
    session: WriteSession, who: Principal, row: Row[Any], name: str | None, document: Mapping[str, Any] | None
) -> None:
    """A new version; the one before serves until it is built."""
    rule = rules.parse(row.rule) if document is None else read_rule(who, document)
    wanted = name or row.name
    await _check_name(session, wanted, row.id)
    await _check_references(session, rule, row.id)
    dumped = rules.dump(rule)
    await queries.rewrite(session, row.id, wanted, json.dumps(dumped), rebuild=dumped != row.rule)
    await notify(session, BUILDS)


async def archive(session: WriteSession, row: Row[Any]) -> None:
    """End a segment: everybody leaves it. Raises Conflict while another segment's rule mentions it."""
    users = await queries.users_of(session, row.id)
    if users:
        raise Conflict(f"segment: it is used by {', '.join(users)}", code="in_use")
    await queries.archive(session, row.id)
    await memberships.empty(session, row.id, row.name)


async def find(session: ReadSession, segment_id: UUID) -> Row[Any]:
    """A segment with its size. Raises NotFound."""
    row = await queries.one(session, segment_id)
    if row is None:
        raise NotFound("segment: there is none with this id", pointer="path/segment_id")
    return row


async def find_locked(session: WriteSession, segment_id: UUID) -> Row[Any]:
    """A segment that may be changed. Raises NotFound."""
    row = await queries.lock(session, segment_id)
    if row is None or row.state == "archived":
        raise NotFound("segment: there is none with this id", pointer="path/segment_id")
    return row


async def _check_name(session: ReadSession, name: str, but: UUID | None) -> None:
    if await queries.name_taken(session, name, but):
        raise Conflict(f"name: a segment is called {name!r} already", code="name_taken", pointer="/name")


async def _check_references(session: ReadSession, rule: Rule, segment_id: UUID) -> None:
    """Every segment that a rule mentions exists, and none of them comes back to this one."""
    seen: set[UUID] = set()
    pending = set(rules.footprint(rule).segments)
    while pending:
        if segment_id in pending:
            raise Unprocessable("rule: it depends on itself", code="segment_cycle", pointer="/rule")
        known = await queries.known(session, list(pending))
        if missing := pending - known.keys():
            raise Unprocessable(f"rule: there is no segment {min(missing)}", code="unknown_segment", pointer="/rule")
        seen |= pending
        pending = {inner for each in known.values() for inner in rules.footprint(rules.parse(each)).segments} - seen


async def preview(session: ReadSession, rule: Rule, now: datetime) -> tuple[int, list[UUID]]:
    """How many customers a rule holds for now, and some of them."""
    query = rules.to_sql(rule, now)
    await session.execute(text(f"SET LOCAL statement_timeout = '{PREVIEW_SECONDS}s'"))
    rows = await session.execute(
        text(f"""WITH held AS MATERIALIZED ({query.text})
                 SELECT (SELECT count(*) FROM held) AS n, customer_id FROM held ORDER BY customer_id LIMIT {SAMPLE}"""),  # noqa: S608 (to_sql binds)
        query.params,
    )
    found = rows.all()
    return (found[0].n if found else 0), [row.customer_id for row in found]


async def explain(session: ReadSession, who: Principal, row: Row[Any], any_id: UUID) -> tuple[UUID, bool, Explanation]:
    """Why a customer is in a segment, or is not: the rule's tree with what each leaf saw.

    Raises NotFound, and Forbidden where the rule compares what is masked for who asks.
    """
    customer = await identity_map.customer_of(session, any_id)
    if customer is None:
        raise NotFound("customer: there is none with this id", pointer="path/customer_id")
    rule, now = rules.parse(row.rule), datetime.now(UTC)
    masks.check_rule(who, rule)
    views = await load_views(session, [customer], rules.footprint(rule).in_detail(), now)
    member = await memberships.is_member(session, row.id, customer)
    return customer, member, rules.explain(rule, views[customer], now)
