"""What marks of customers are about, when one of them is no more."""

from perennial.common import derive, identity_map
from perennial.common.contracts.identity import Assignment
from perennial.common.db import WriteSession
from perennial.common.derive import Derivation, Stale
from perennial.common.ids import uuid7
from perennial.loyalty.worker import SPENT


async def test_what_a_mark_of_a_gone_customer_was_about_is_the_survivors_too(session: WriteSession) -> None:
    """Whoever marked it read the map before the merge; the survivor's own mark is about less."""
    gone, survivor, other = sorted(uuid7() for _ in range(3))
    people = {gone: survivor, survivor: survivor, other: other}
    await identity_map.apply(session, [Assignment(via=via, customer=of, version=2) for via, of in people.items()])
    spent = derive.spell(SPENT)
    await derive.mark(session, [gone], live=True)
    await derive.mark(session, [survivor, other], live=False, concern=spent)
    seen: list[Stale] = []

    async def handle(_: WriteSession, stale: Stale) -> None:
        seen.append(stale)

    while await derive.derive_once(session, Derivation(handle, concerned=True)):
        pass
    told = [(each.live, each.gone, each.concerns) for each in seen]
    assert told == [({survivor: True, other: False}, [gone], {other: SPENT})]
