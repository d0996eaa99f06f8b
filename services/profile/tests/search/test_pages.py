"""Pages of a list: without gaps and repeats, in every order, however rare what is looked for."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from perennial.common.identifiers import blind_index
from perennial.common.ids import uuid7
from perennial.common.testing.events import tracked
from perennial.profile.search import queries

Hear = Callable[..., Awaitable[None]]
Show = Callable[..., Awaitable[Any]]
Assign = Callable[..., Awaitable[None]]
Derive = Callable[[], Awaitable[None]]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


People = Callable[..., Awaitable[list[UUID]]]
Pages = Callable[..., Awaitable[list[list[Any]]]]


SORTS = ["id", "-id", "name", "-name", "last_seen", "-last_seen", "first_seen", "trait.n", "-trait.n"]


@pytest.mark.parametrize("sort", SORTS)
async def test_every_order_pages_without_gaps_and_repeats(
    people: People, hear: Hear, derive: Derive, pages: Pages, sort: str
) -> None:
    vias = await people(*({"name": f"N{n % 3}", "n": n % 4} if n % 5 else {"x": n} for n in range(17)))
    await hear(*(tracked("A", via=via, at=NOON + timedelta(hours=n % 3)) for n, via in enumerate(vias[:9])))
    await derive()
    [whole] = await pages(limit=50, sort=sort)
    for limit in (1, 4):
        assert [item for page in await pages(limit=limit, sort=sort) for item in page] == whole
    assert {item["id"] for item in whole} == {str(via) for via in vias}
    assert whole == list(whole)


async def test_ranked_pages_pass_from_tier_to_tier(people: People, pages: Pages, assign: Assign) -> None:
    told = ["Lin"] * 3 + ["Linda"] * 3 + ["Ann Lin"] * 2 + ["Lim"]
    vias = await people(*({"name": said, "nickname": "lin-" + said} for said in told))
    digest = blind_index(bytes.fromhex("11" * 32), "user_id", "lin").hex()
    await assign(vias[4], uuid7(), version=1, kind="user_id", digest=digest)
    for q in ("lin", "lin lim"):
        [whole] = await pages(limit=50, q=q)
        for limit in (1, 2, 3):
            assert [item for page in await pages(limit=limit, q=q) for item in page] == whole
        assert len({item["id"] for item in whole}) == len(whole)
    assert [item["traits"]["name"] for item in (await pages(limit=50, q="lin"))[0]][:4] == ["Linda", *["Lin"] * 3]


async def test_pages_of_a_rare_find_are_short_and_go_on(
    people: People, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "EXAMINED", 5)
    await people(*({"name": f"N{n}", "n": n} for n in range(23)))
    found = await pages(limit=2, sort="-name", **{"trait.n[gte]": "20"})
    assert [item["traits"]["n"] for page in found for item in page] == [22, 21, 20]
    assert [len(page) for page in found] == [2, 0, 0, 0, 0, 1] or sum(map(len, found)) == 3
    ranked = await pages(limit=2, q="n", **{"trait.n[gte]": "20"})
    assert sorted(item["traits"]["n"] for page in ranked for item in page) == [20, 21, 22]
    nobody = await pages(limit=2, **{"trait.n[lt]": "0"})
    assert [item for page in nobody for item in page] == []
    assert len(nobody) == 5
