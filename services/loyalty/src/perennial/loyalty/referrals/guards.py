"""What makes a referral suspicious: the two are one, have something in common, or there are too many."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from perennial.common.db import ReadSession, settings_of
from perennial.common.settings import CommonSettings
from perennial.loyalty.referrals import queries
from perennial.loyalty.referrals.course import SELF
from perennial.loyalty.referrals.definition import Referral as Rules
from perennial.loyalty.referrals.queries import Asked

COMPARED = frozenset({"device", "phone", "address", "payment"})
UNGUARDED = "unguarded"
"""There is no key by which anything could be compared: then staff look at every referral."""


def key_of(settings: CommonSettings) -> bytes:
    """The key of what is compared; empty when the deployment gives none."""
    held = getattr(settings, "encryption_key", None)
    return bytes.fromhex(held.get_secret_value()) if held is not None else b""


async def reasons(session: ReadSession, asked: Sequence[tuple[Row[Any], Rules]]) -> dict[UUID, list[str]]:
    """Why each referral should be looked at; those already rewarded are asked only whether the two are one."""
    found: dict[UUID, set[str]] = {row.id: {SELF} for row, _ in asked if row.customer_id == row.friend_id}
    fresh = {
        row.id: (Asked(row.id, row.customer_id, row.friend_id, row.qualified_at, rules.velocity.days), rules)
        for row, rules in asked
        if not row.booked and row.decision is None and row.id not in found
    }
    sides = [item for item, _ in fresh.values()]
    if sides:
        for key, kind in await queries.common(session, sides):
            if kind in fresh[key][1].guards:
                found.setdefault(key, set()).add(kind)
        for key, friends in (await queries.pace(session, sides)).items():
            rules = fresh[key][1]
            if "velocity" in rules.guards and friends > rules.velocity.count:
                found.setdefault(key, set()).add("velocity")
    if not key_of(settings_of(session)):
        for key, (_, rules) in fresh.items():
            if COMPARED.intersection(rules.guards):
                found.setdefault(key, set()).add(UNGUARDED)
    return {key: sorted(words) for key, words in found.items()}
