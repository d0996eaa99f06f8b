"""What other services are told of tags: which segments the rule of each asks for."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row

from perennial.common import rule_states, rules
from perennial.common.contracts.base import RuleState
from perennial.common.contracts.profile import RulesChanged
from perennial.common.db import WriteSession
from perennial.profile.tags.definitions import queries

TAG = "tag"
AT_ONCE = 500


async def tell(session: WriteSession, rows: Iterable[Row[Any]]) -> None:
    """Say how tags by rule stand; an archived one asks for nothing."""
    await rule_states.tell(session, RulesChanged, [_state(row) for row in rows if row.kind == "rule"])


async def tell_all(session: WriteSession) -> None:
    """Say it of every tag: of those that were there before."""
    for active in (True, False):
        last = ""
        while rows := await queries.page(session, last, AT_ONCE, active=active, dimension=None, kind="rule"):
            await tell(session, rows)
            last = rows[-1].key


def _state(row: Row[Any]) -> RuleState:
    asked = rules.footprint(rules.parse(row.basis["rule"])).segments if row.active else ()
    return RuleState(
        kind=TAG,
        id=row.key,
        name=row.label["en"],
        state="active" if row.active else "archived",
        segments=sorted(asked),
        version=row.version,
    )
