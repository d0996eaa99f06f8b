"""What earning holds about a person goes with them; the books stay."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.contracts.identity import CustomerErased
from perennial.common.ids import uuid7
from perennial.common.privacy import worker
from perennial.common.testing.events import identified, tracked

SECRET = "zebulon@secret.example"
TABLES = ("posting", "lot", "purchase", "activity", "cap_use", "birthday", "content")


async def rows(shop: Any, via: UUID) -> str:
    said = ""
    for table in TABLES:
        found = await shop.session.execute(text(f"SELECT to_jsonb(t)::text FROM {table} t WHERE via = :v"), {"v": via})
        said += "".join(found.scalars())
    return said


async def test_nothing_tells_of_whom_afterwards(shop: Any) -> None:
    via, stranger = uuid7(), uuid7()
    rules = [
        {"name": "mail", "condition": {"trait": "email", "exists": True}, "caps": [{"times": 9}]},
        {"name": "survey", "event": "Survey", "per": "event", "subject": "who", "caps": [{"times": 1, "each": True}]},
        {"name": "review", "event": "Reviewed", "per": "event", "subject": "id"},
    ]
    content = [{"kind": "review", "event": "Reviewed", "moderation": "none", "removed_by": "Unreviewed"}]
    await shop.programme(datetime(2020, 1, 1, tzinfo=UTC), earn_rules=rules, content=content)
    for who in (via, stranger):
        key = f"{SECRET} {who}"
        await shop.order(who, 50, properties={"email": SECRET})
        await shop.say(identified({"birthday": "1987-06-05"}, via=who), tracked("Survey", {"who": key}, via=who))
        await shop.say(tracked("Reviewed", {"id": key, "words": SECRET}, via=who))
        await shop.say(tracked("Unreviewed", {"id": key}, via=who))
    before = await rows(shop, stranger)
    assert SECRET in await rows(shop, via)
    assert "06-05" in await rows(shop, via)
    await shop.derive()
    await shop.say(CustomerErased(erasure_id=uuid7(), customer=via, vias=[via], at=utc_now()))
    await worker.run_all(shop.runtime)
    left = await rows(shop, via)
    assert (SECRET in left, "06-05" in left, "Survey" in left) == (False, False, True)
    assert await rows(shop, stranger) == before
    await shop.prove()
