"""Who brought whom: a tree that is bounded in depth and size, whatever the data say."""

from dataclasses import dataclass
from uuid import UUID

from perennial.common.db import ReadSession
from perennial.loyalty.referrals import queries


@dataclass(frozen=True)
class Node:
    """A customer whom another one brought."""

    customer_id: UUID
    parent_id: UUID
    depth: int
    referral_id: UUID
    state: str


async def grow(session: ReadSession, root: UUID, depth: int, limit: int) -> tuple[list[Node], bool]:
    """The nodes below a customer, level by level, each once; and whether there are more than `limit`."""
    nodes: list[Node] = []
    seen, level = {root}, [root]
    for at in range(1, depth + 1):
        rows = await queries.brought(session, level, seen, limit - len(nodes) + 1)
        nodes += [Node(row.customer_id, row.parent_id, at, row.referral_id, row.state) for row in rows]
        if len(nodes) > limit:
            return nodes[:limit], True
        level = [row.customer_id for row in rows]
        seen.update(level)
        if not level:
            break
    return nodes, False
