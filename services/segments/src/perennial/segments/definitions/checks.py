"""What a rule must be before a segment may have it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from perennial.common import masks, rules
from perennial.common.auth import Principal
from perennial.common.db import ReadSession, WriteSession
from perennial.common.db.locks import lock
from perennial.common.problems import Conflict, Unprocessable
from perennial.common.rules import Rule, RuleError
from perennial.segments.definitions import queries


def read_rule(who: Principal, document: Mapping[str, Any]) -> Rule:
    """The rule of a request. Raises Unprocessable with the path of the fault, Forbidden for a field masked for them."""
    try:
        rule = rules.parse(dict(document))
    except RuleError as error:
        raise Unprocessable(f"rule: {error}", code="invalid_rule", pointer=f"/rule{error.pointer}") from error
    masks.check_rule(who, rule)
    return rule


async def check_name(session: WriteSession, name: str, but: UUID | None) -> None:
    """Raises Conflict where another segment bears the name; nobody else takes it until the transaction ends."""
    await lock(session, "segments", "name", name)
    if await queries.name_taken(session, name, but):
        raise Conflict(f"name: a segment is called {name!r} already", code="name_taken", pointer="/name")


async def check_references(session: ReadSession, rule: Rule, segment_id: UUID | None) -> None:
    """Every segment that a rule mentions exists, and none of them comes back to this one (None: a rule of no segment).

    Of each the rule that serves counts as well as the newest: they are asked in an order until the newer one serves.
    """
    seen: set[UUID] = set()
    pending = set(rules.footprint(rule).segments)
    while pending:
        if segment_id in pending:
            raise Unprocessable("rule: it depends on itself", code="segment_cycle", pointer="/rule")
        known = await queries.known(session, list(pending))
        if missing := pending - known.keys():
            raise Unprocessable(f"rule: there is no segment {min(missing)}", code="unknown_segment", pointer="/rule")
        seen |= pending
        pending = {
            inner for each in known.values() for said in each for inner in rules.footprint(rules.parse(said)).segments
        } - seen
