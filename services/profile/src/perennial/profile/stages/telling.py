"""What other services are told of ladders: which segments the rules of their stages ask for."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from perennial.common import rule_states, rules
from perennial.common.contracts.base import RuleState
from perennial.common.contracts.profile import RulesChanged
from perennial.common.db import WriteSession
from perennial.profile.stages import queries

LADDER = "ladder"


async def tell(session: WriteSession, key: str | None = None) -> None:
    """Say how a ladder stands, or all of them; nobody chooses another meanwhile."""
    lifecycle = await queries.lifecycle(session, lock=True)
    if lifecycle is None:
        return
    rows: Sequence[Row[Any]] = [row for row in await queries.ladders(session) if key in {None, row.key}]
    await rule_states.tell(session, RulesChanged, [_state(row, lifecycle) for row in rows])


def _state(row: Row[Any], lifecycle: Row[Any]) -> RuleState:
    """Its version grows with the ladder's own and whenever another one comes into use."""
    asked = {segment for stage in row.stages for segment in rules.footprint(rules.parse(stage["rule"])).segments}
    return RuleState(
        kind=LADDER,
        id=row.key,
        name=row.label["en"],
        state="in use" if row.key == lifecycle.ladder else "kept",
        segments=sorted(asked),
        version=row.version + lifecycle.version,
    )
