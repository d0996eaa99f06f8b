"""What was taken off each order, as the newest event says that names it: computed traits look it up with the order."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from perennial.common import commerce
from perennial.common.db import WriteSession, raw
from perennial.common.db.arrays import arrays

NAMES = frozenset({commerce.ORDER_COMPLETED, commerce.ORDER_UPDATED})
_WRITE = """
    INSERT INTO order_discount AS d (source, order_id, via, discount, at, message_id)
    SELECT * FROM unnest($1::text::text[], $2::text::text[], $3::text::uuid[], $4::text::numeric[],
                         $5::text::timestamptz[], $6::text::text[])
    ON CONFLICT (source, order_id) DO UPDATE SET via = excluded.via, discount = excluded.discount, at = excluded.at,
        message_id = excluded.message_id
    WHERE (d.at, d.message_id) < (excluded.at, excluded.message_id)"""


class Discount(NamedTuple):
    """What one event says was taken off an order."""

    source: str
    order_id: str
    via: UUID
    discount: Decimal
    at: datetime
    message_id: str


async def record(session: WriteSession, told: Iterable[Discount]) -> None:
    """Keep what the newest event says of each order, in whatever order they come."""
    newest: dict[tuple[str, str], Discount] = {}
    for said in told:
        place = (said.source, said.order_id)
        if place not in newest or (newest[place].at, newest[place].message_id) < (said.at, said.message_id):
            newest[place] = said
    if newest:
        await (await raw(session)).execute(_WRITE, *arrays([newest[place] for place in sorted(newest)]))
