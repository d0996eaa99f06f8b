"""When the clock may change what customers show: their timers are read first, and only what is another is written."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from perennial.common import timers
from perennial.common.db import ReadSession, WriteSession
from perennial.common.db.arrays import array
from perennial.common.timers import timer_for
from perennial.profile.rows.drafts import Draft

COMPUTED, TAGS, STAGES = KINDS = ("computed", "tags", "stages")
_STANDING = text("""
    SELECT kind, key, due_at FROM timer
    WHERE kind = ANY(CAST(:kinds AS text[])) AND key = ANY(CAST(CAST(:keys AS text) AS text[]))""")

Standing = Mapping[tuple[str, UUID], datetime]


async def standing(session: ReadSession, ids: Collection[UUID]) -> Standing:
    """The timers that are set for these, by kind and whose they are."""
    asked = {"kinds": list(KINDS), "keys": array([str(any_id) for any_id in ids])}
    return {(kind, UUID(key)): due for kind, key, due in await session.execute(_STANDING, asked)}


async def keep(session: WriteSession, drafts: Mapping[UUID, Draft], stood: Standing) -> None:
    """Set what has moved; whoever has none any more, or is no customer, loses it."""
    wanted = {(kind, draft.id): due for draft in drafts.values() for kind, due in draft.due.items()}
    for kind in KINDS:
        gone = [str(owner) for stands, owner in stood if stands == kind and (kind, owner) not in wanted]
        if gone:
            await timers.cancel(session, kind, gone)
    await timers.schedule(
        session,
        [
            timer_for(customer, kind, str(customer), due, {"customer": str(customer)})
            for (kind, customer), due in wanted.items()
            if stood.get((kind, customer)) != due
        ],
    )
