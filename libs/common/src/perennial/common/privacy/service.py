"""Forgetting somebody: what is done at once, and what is left to the loop."""

from collections.abc import Sequence
from uuid import UUID

import structlog
from sqlalchemy import text

from perennial.common import identity_map, notify
from perennial.common.contracts.identity import RESOLVED_SUBJECT, CustomerErased
from perennial.common.db import ReadSession, WriteSession
from perennial.common.db.locks import lock_all, lock_key
from perennial.common.ids import partition_of

log = structlog.get_logger()

_FORGET = text("INSERT INTO erased (via) SELECT unnest(CAST(:vias AS uuid[])) ON CONFLICT DO NOTHING")
# Who asks again has heard no receipt: what is over is looked through once more, and said again.
_BEGIN = text("""
    INSERT INTO erasure AS e (id, customer_id, vias, digests, at)
    VALUES (:id, :customer, CAST(:vias AS uuid[]), CAST(:digests AS bytea[]), :at)
    ON CONFLICT (id) DO UPDATE SET state = 'erasing', position = 0, after = NULL, next_at = clock_timestamp()
        WHERE e.state <> 'erasing'""")
_TOLD = text("SELECT customer_id, vias, digests, at FROM erasure WHERE id = :id")
_UNMAP = text("DELETE FROM identity_map WHERE via = ANY(CAST(:vias AS uuid[]))")


async def accept(session: WriteSession, events: Sequence[CustomerErased]) -> None:
    """From this transaction on nothing more is written of these persons, and nobody finds them; the loop deletes.

    Batches of events that have begun are waited for: those that begin later see whom to leave out.
    """
    vias = sorted({via for event in events for via in event.vias})
    await _fence(session, vias)
    await identity_map.lock_customers(session, {event.customer for event in events})
    await session.execute(_FORGET, {"vias": vias})
    await session.execute(_UNMAP, {"vias": vias})
    await session.execute(
        _BEGIN,
        [
            {
                "id": event.erasure_id,
                "customer": event.customer,
                "vias": event.vias,
                "digests": [bytes.fromhex(digest) for digest in event.digests],
                "at": event.at,
            }
            for event in events
        ],
    )
    await notify.notify(session, notify.PRIVACY)
    log.info("erasure.accepted", erasures=[str(event.erasure_id) for event in events])


async def told(session: ReadSession, erasure_id: UUID) -> CustomerErased | None:
    """What was said of an erasure that has begun here; the digests are forgotten when it is over."""
    row = (await session.execute(_TOLD, {"id": erasure_id})).one_or_none()
    if row is None:
        return None
    digests = [bytes(digest).hex() for digest in row.digests]
    return CustomerErased(
        erasure_id=erasure_id, customer=row.customer_id, vias=row.vias, digests=digests, at=row.at
    )  # fmt: skip


async def _fence(session: WriteSession, vias: Sequence[UUID]) -> None:
    service = (await session.execute(text("SELECT current_schema()"))).scalar_one()
    partitions = {f"{RESOLVED_SUBJECT}.{partition_of(via)}" for via in vias}
    await lock_all(session, [lock_key(service, partition) for partition in partitions])
