"""The SQL of reveals."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import ReadSession
from perennial.profile.traits.sealing import opened_traits, vault_of
from perennial.profile.traits.survivors import survivors

_TRAITS = text(survivors("m.customer_id = :customer AND t.key = ANY(:keys)"))


async def traits(session: ReadSession, customer: UUID, keys: Sequence[str]) -> dict[str, Any]:
    """What a customer shows for these keys, in clear."""
    rows = await session.execute(_TRAITS, {"customer": customer, "keys": list(keys)})
    return opened_traits(vault_of(session), {row.key: row.value for row in rows})
