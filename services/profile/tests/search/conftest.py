"""Customers to be found."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from perennial.common.ids import uuid7
from perennial.common.testing.events import identified

Hear = Callable[..., Awaitable[None]]
Show = Callable[..., Awaitable[Any]]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def people(hear: Hear) -> Callable[..., Awaitable[list[UUID]]]:
    """`await people({"name": "Ada"}, …)`: customers who say this of themselves."""

    async def told(*traits: dict[str, Any]) -> list[UUID]:
        vias = [uuid7() for _ in traits]
        await hear(*(identified(said, via=via, at=NOON) for said, via in zip(traits, vias, strict=True)))
        return vias

    return told


@pytest.fixture
def names(get: Show) -> Callable[..., Awaitable[list[Any]]]:
    """`await names(q="ada")`: the names on the first page, in order."""

    async def listed(**asked: Any) -> list[Any]:
        return [item["traits"].get("name") for item in (await get("/v1/customers", **asked))["items"]]

    return listed


@pytest.fixture
def pages(get: Show) -> Callable[..., Awaitable[list[list[Any]]]]:
    """`await pages(limit=2)`: every page, to the end."""

    async def listed(**asked: Any) -> list[list[Any]]:
        found, cursor = [], None
        while True:
            page = await get("/v1/customers", **asked, **({"cursor": cursor} if cursor else {}))
            found.append(page["items"])
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    return listed
