"""The catalogue: shares, what is given, and that no tag is filler."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.common.testing.events import tracked
from perennial.profile.tags import shares
from perennial.profile.tags.definitions import presets

Hear = Callable[..., Awaitable[None]]
Derive = Callable[..., Awaitable[None]]
Shown = Callable[[], Awaitable[dict[UUID, set[str]]]]
NOW = datetime.now(UTC)
DIMENSIONS = {"attribute", "behaviour", "need", "value"}


async def test_a_share_of_all_customers_comes_and_goes(
    catalogue: None, hear: Hear, derive: Derive, fire: Callable[..., Awaitable[list[str]]], shown: Shown,
    runtime: Runtime,
) -> None:  # fmt: skip
    ranked = [uuid7() for _ in range(20)]
    for rank, via in enumerate(ranked):
        said = [{"order_id": f"{rank}-{n}", "revenue": 10 * (rank + 1)} for n in range(3 if rank == 19 else 1)]
        await hear(*(tracked("Order Completed", properties, via=via, at=NOW) for properties in said))
    await derive()
    assert not set.union(*(await shown()).values()) & {"top_tenth_by_spend", "top_tenth_by_orders"}
    async with runtime.database.write() as session:
        assert await shares.count(session) == 3
        assert await shares.count(session) == 0
    await derive()
    tags = await shown()
    top = {key: [via for via in ranked if key in tags[via]] for key in presets_of("computed")}
    assert top == {
        "top_tenth_by_spend": ranked[18:], "top_tenth_by_orders": ranked[19:], "top_fifth_by_basket": ranked[16:],
    }  # fmt: skip
    await hear(*(tracked("Order Cancelled", {"order_id": f"19-{n}"}, via=ranked[19]) for n in range(3)))
    await derive()
    assert not (await shown())[ranked[19]] & set(presets_of("computed"))


def presets_of(*kinds: str) -> list[str]:
    return [tag.key for tag in presets.tags() if tag.kind in kinds]


@pytest.mark.parametrize("key", presets_of("manual", "imported"))
async def test_a_tag_that_is_given_comes_and_goes(
    key: str, catalogue: None, hear: Hear, derive: Derive, shown: Shown, client: Any
) -> None:
    via = uuid7()
    await hear(tracked("Product Viewed", via=via))
    origin = "import" if key in presets_of("imported") else "manual"
    for held in (True, False):
        body = {"customers": [str(via)], "origin": origin, "held": held}
        given = await client.post(f"/v1/tags/{key}/assignments", json=body)
        assert (given.status_code, given.json()["customers"]) == (200, 1), given.text
        await derive()
        assert (key in (await shown())[via]) == held


def test_the_catalogue_is_whole() -> None:
    tags = presets.tags()
    assert len(tags) > 100
    assert {tag.dimension for tag in tags} == DIMENSIONS
    for tag in tags:
        assert tag.label.zh, tag.key
        assert tag.about.zh, tag.key
        assert tag.about.en.endswith("."), tag.key
    texts = [tag.about.en for tag in tags]
    assert len(set(texts)) == len(texts), "two tags that say the same are one"


def test_every_rule_is_another_rule() -> None:
    """A tag that repeats another under a new name would be filler."""
    found: dict[str, str] = {}
    for tag in presets.tags():
        if tag.kind not in {"manual", "imported"}:
            spelled = repr(presets.basis(tag))
            assert spelled not in found, (tag.key, found[spelled])
            found[spelled] = tag.key
