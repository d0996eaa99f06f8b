"""The verbs of dispatch: load the roster, write rules."""

from typing import Any
from uuid import UUID

from perennial.common import audit, rules
from perennial.common.auth import Principal
from perennial.common.db import ReadSession, WriteSession, lock
from perennial.common.ids import uuid7
from perennial.common.problems import Conflict, NotFound, Unprocessable
from perennial.common.web.etags import match
from perennial.tickets.dispatch import queries, readable, telling, veiled
from perennial.tickets.dispatch.models import DispatchRule
from perennial.tickets.dispatch.roster import Roster
from perennial.tickets.types import service as types

MOST_RULES = 200
GAP = 10


async def turn(session: WriteSession) -> None:
    """Wait for one's turn to dispatch: after it nobody's load changes upwards until this transaction ends.

    Taken before any row of an agent, and never waited for by whoever holds one.
    """
    await lock(session, "tickets", "dispatch")


async def roster(session: WriteSession) -> Roster:
    """Everything that decides, read after everybody else's decisions."""
    await turn(session)
    rows = await queries.enabled(session)
    found = await queries.lock_agents(session)
    return Roster([(row, rules.parse(row.rule)) for row in rows], found, await queries.loads(session))


async def check(session: ReadSession, who: Principal, rule: Any, *, kept: Any = None) -> dict[str, Any]:
    """The rule in its one spelling. Raises Unprocessable that names the place, Forbidden for what is masked.

    `kept` is the rule as it stands: one from before it was asked what it reads can still be renamed or disabled.
    """
    try:
        parsed = rules.parse(rule)
    except rules.RuleError as error:
        raise Unprocessable(
            f"rule{error.pointer}: {error.message}", code="invalid_rule", pointer=f"/rule{error.pointer}"
        ) from error
    veiled.check(who, parsed, await types.known_fields(session))
    if rules.dump(parsed) != kept:
        readable.check(parsed)
    return rules.dump(parsed)


async def find(session: ReadSession, rule_id: UUID, *, locked: bool = False) -> DispatchRule:
    """A rule. Raises NotFound."""
    found = await session.get(DispatchRule, rule_id, with_for_update=locked)
    if found is None:
        raise NotFound("dispatch_rule: there is none with this id", pointer="path/rule_id")
    return found


async def create(session: WriteSession, who: Principal, given: dict[str, Any]) -> DispatchRule:
    """A new rule, last unless it says where. Raises Conflict when there are too many."""
    rule = await check(session, who, given["rule"])
    await lock(session, "tickets", "dispatch_rules")
    if await queries.count(session) >= MOST_RULES:
        raise Conflict(f"there can be {MOST_RULES} dispatch rules", code="too_many")
    position = given.pop("position")
    row = DispatchRule(
        id=uuid7(),
        position=await queries.last_position(session) + GAP if position is None else position,
        **{**given, "rule": rule},
    )
    session.add(row)
    await session.flush()
    await telling.tell(session, [row])
    await audit.record(session, who, "dispatch_rule.created", str(row.id), given)
    return row


async def replace(
    session: WriteSession, who: Principal, rule_id: UUID, expected: int | None, given: dict[str, Any]
) -> DispatchRule:
    """Change a rule, for tickets dispatched from now on. Raises NotFound, PreconditionFailed."""
    row = await find(session, rule_id, locked=True)
    match(expected, row.version)
    position = given.pop("position")
    rule = await check(session, who, given["rule"], kept=row.rule)
    for name, value in {**given, "rule": rule}.items():
        setattr(row, name, value)
    if position is not None:
        row.position = position
    row.version += 1
    await session.flush()
    await telling.tell(session, [row])
    await audit.record(session, who, "dispatch_rule.changed", str(rule_id), given)
    return row


async def remove(session: WriteSession, who: Principal, rule_id: UUID, expected: int | None) -> None:
    """Forget a rule; the decisions that it made stay. Raises NotFound, PreconditionFailed."""
    row = await find(session, rule_id, locked=True)
    match(expected, row.version)
    await session.delete(row)
    await telling.tell_deleted(session, row)
    await audit.record(session, who, "dispatch_rule.deleted", str(rule_id))
