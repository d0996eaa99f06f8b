"""What other services are told of dispatch rules: which segments each asks for."""

from collections.abc import Sequence
from datetime import timedelta

from perennial.common import rule_states, rules
from perennial.common.contracts.base import RuleState
from perennial.common.contracts.tickets import RulesChanged
from perennial.common.db import WriteSession
from perennial.common.runtime import Runtime
from perennial.common.service import Job
from perennial.tickets.dispatch import queries
from perennial.tickets.dispatch.models import DispatchRule

KIND = "dispatch_rule"
DELETED = "deleted"


async def tell(session: WriteSession, found: Sequence[DispatchRule]) -> None:
    """Say how rules stand; one that is switched off asks for what it asks all the same."""
    await rule_states.tell(session, RulesChanged, [_state(row) for row in found])


async def tell_deleted(session: WriteSession, row: DispatchRule) -> None:
    """Say that a rule is no more."""
    state = _state(row).model_copy(update={"state": DELETED, "segments": [], "version": row.version + 1})
    await rule_states.tell(session, RulesChanged, [state])


def _state(row: DispatchRule) -> RuleState:
    return RuleState(
        kind=KIND,
        id=str(row.id),
        name=row.name,
        state="enabled" if row.enabled else "disabled",
        segments=sorted(rules.footprint(rules.parse(row.rule)).segments),
        version=row.version,
    )


async def tell_all(runtime: Runtime) -> None:
    """Say it of every rule: of those that were there before."""
    async with runtime.database.write() as session:
        await tell(session, await queries.every(session))


TELL = Job("tell", timedelta(days=1), tell_all)
