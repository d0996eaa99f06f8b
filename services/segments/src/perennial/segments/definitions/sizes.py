"""How many members segments have: counted, or, where they are very many in a large shop, estimated from a part."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import ReadSession
from perennial.segments.definitions.sampling import Counted, of_part

COUNTED = 20_000  # so many of a segment are counted in a few milliseconds
QUARTER = 4  # of the part is enough: of all that its customers are in each row is looked up

_COUNT = text("""
    SELECT s.id, (SELECT count(*) FROM (
        SELECT FROM membership WHERE segment_id = s.id LIMIT CAST(:most AS bigint)) AS first) AS n
    FROM unnest(CAST(:ids AS uuid[])) AS s (id)""")
# From the customers of the part to where they are, whatever the statistics say: everybody's memberships are many more.
_AMONG = """whose AS (SELECT DISTINCT customer_id FROM identity_map)
    SELECT m.segment_id, count(*) FROM whose
    CROSS JOIN LATERAL (SELECT segment_id FROM membership WHERE customer_id = whose.customer_id OFFSET 0) AS m
    WHERE m.segment_id = ANY(:ids) GROUP BY m.segment_id"""


async def sizes(session: ReadSession, segments: Sequence[UUID], times: int) -> dict[UUID, Counted]:
    """The members of each of these segments; of very many by those in the first quarter of one customer in so many."""
    if not segments:
        return {}
    most = COUNTED if times > 1 else None
    counted = (await session.execute(_COUNT, {"ids": list(segments), "most": most})).all()
    found = {segment: Counted(count) for segment, count in counted}
    many = [segment for segment, count in counted if count == most]
    if many:
        share = times * QUARTER
        among = await session.execute(text(f"{of_part(share)}{_AMONG}"), {"ids": many})
        found |= dict.fromkeys(many, Counted(0, share)) | {segment: Counted(n, share) for segment, n in among}
    return found
