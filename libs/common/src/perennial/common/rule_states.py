"""Saying which segments rules ask for, in facts that a broker takes however many and however long they are."""

from collections.abc import Iterable, Iterator

from perennial.common.contracts.base import RulesState, RuleState
from perennial.common.db import WriteSession
from perennial.common.outbox import emit

MOST, MOST_BYTES = 200, 256 * 1024  # of a fact: the broker takes a megabyte


async def tell(session: WriteSession, contract: type[RulesState], states: Iterable[RuleState]) -> None:
    """Say how these rules stand; of none nothing."""
    await emit(session, *(contract(rules=part) for part in parts(states)))


def parts(states: Iterable[RuleState]) -> Iterator[list[RuleState]]:
    """So many that neither their number nor their bytes are too many; one that is larger by itself goes alone."""
    part: list[RuleState] = []
    taken = 0
    for state in states:
        size = len(state.model_dump_json().encode())
        if part and (len(part) == MOST or taken + size > MOST_BYTES):
            yield part
            part, taken = [], 0
        part.append(state)
        taken += size
    if part:
        yield part
