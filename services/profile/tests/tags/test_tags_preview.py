"""A preview of a merge says what tags and stages there will be, and leaves nothing."""

from typing import Any

from sqlalchemy import text

from perennial.common.db import Database
from perennial.common.ids import uuid7
from perennial.common.preview.looking import Assigned
from perennial.common.service import Service, ServiceRuntime
from perennial.common.testing.events import identified, tracked
from perennial.common.testing.previews import World
from perennial.profile.computed import standard
from perennial.profile.tags import main


async def test_tags_and_stages_are_previewed(service: Service, settings: Any, committed: Database) -> None:
    world = World(ServiceRuntime(service, settings, committed, nats=None))  # type: ignore[arg-type]
    await main.seed(world.runtime)
    async with committed.write() as session:
        for row in standard.seeds():  # another test on real commits has emptied them away
            if row["digest"]:
                await session.execute(text(standard.SEED_FEED), {name: row[name] for name in ("digest", "feed")})
            bound = {name: row[name] for name in ("key", "labels", "spec", "digest")}
            await session.execute(text(standard.SEED), bound)
    one, other = uuid7(), uuid7()
    await world.hear(
        identified({"plan": "pro"}, via=one),
        tracked("Product Added", via=one),
        identified({"email": "b@example.com"}, via=other),
        tracked("Order Completed", {"order_id": "1", "revenue": 700}, via=other),
    )
    seen = await world.agrees(Assigned(via=other, customer_id=one, version=2))
    assert set(seen.before) == {one, other}
    merged = seen.after[one]["attributes"]
    assert {"on_a_plan", "with_email", "high_spender", "cart_filler"} <= set(merged["tags"])
    assert merged["stage"] == "growing"
    await world.agrees(Assigned(via=other, customer_id=other, version=3))
