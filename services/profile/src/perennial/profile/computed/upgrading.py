"""After an upgrade, when no process of the version before runs any more: that one knew of no discounts of orders."""

from sqlalchemy import text

from perennial.common import notify
from perennial.common.db import WriteSession
from perennial.common.timers import Timer
from perennial.profile.computed.service import BUILDS
from perennial.profile.traits.definitions import telling

DISCOUNTS, SHARE = "discounts", "discount_share"
# What the older processes took in beside the migration, which has read everything that was there before.
_LATELY = text(r"""
    WITH said AS (
        SELECT source, via, timestamp, message_id, body #>> '{properties,discount}' AS discount,
               left(trim(coalesce(body #>> '{properties,order_id}', body #>> '{properties,orderId}')), 255) AS order_id
        FROM event WHERE type = 'track' AND name IN ('Order Completed', 'Order Updated')
          AND timestamp > now() - interval '31 days'),
    written AS (
        INSERT INTO order_discount AS d (source, order_id, via, discount, at, message_id)
        SELECT DISTINCT ON (source, order_id) source, order_id, via, CAST(discount AS numeric), timestamp, message_id
        FROM said WHERE order_id <> '' AND discount ~ '^ *-?[0-9]{1,12}([.][0-9]{1,15})? *$'
        ORDER BY source, order_id, timestamp DESC, message_id DESC
        ON CONFLICT (source, order_id) DO UPDATE SET via = excluded.via, discount = excluded.discount,
            at = excluded.at, message_id = excluded.message_id
        WHERE (d.at, d.message_id) < (excluded.at, excluded.message_id)
        RETURNING via)
    INSERT INTO stale (customer_id, live, at)
    SELECT DISTINCT customer_id, false, now() FROM identity_map JOIN written USING (via)""")
# The shipped definition, where nobody has made it the shop's own.
_OF_ORDERS = text("""
    UPDATE computed_trait SET spec = spec - 'events' || '{"source": "orders"}', feed = NULL, version = version + 1,
        state = 'building', pending = true, updated_at = now()
    WHERE key = :key AND state <> 'archived' AND version = 1 AND spec ? 'events' RETURNING key""")


async def finish(session: WriteSession, _: list[Timer]) -> None:
    """Take in discounts that were passed over, and count the share of discounted orders by orders."""
    await session.execute(_LATELY)
    await notify.notify(session, notify.STALE)
    if (await session.execute(_OF_ORDERS, {"key": SHARE})).one_or_none() is not None:
        await telling.tell_computed(session, SHARE)
        await notify.notify(session, BUILDS)
