"""Rules are typed: what nobody knows, or what no value can satisfy, is refused with where it stands."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from perennial.common.contracts.profile import TraitDefinition, TraitsDefined
from perennial.common.testing.events import identified

DEFINED = [
    TraitDefinition(key="plan", type="enum", values=["free", "pro"], version=1),
    TraitDefinition(key="size", type="number", version=1),
    TraitDefinition(key="adult", type="boolean", version=1),
    TraitDefinition(key="birthday", type="date", version=1),
    TraitDefinition(key="nick", type="string", version=1),
    TraitDefinition(key="colours", type="list", version=1),
    TraitDefinition(key="address", type="object", version=1),
    TraitDefinition(key="favourite", type="any", computed=True, version=1),
]


@pytest.fixture(autouse=True)
async def defined(hear: Callable[..., Awaitable[None]]) -> None:
    """The traits of these tests, and one that somebody has said."""
    await hear(TraitsDefined(traits=DEFINED), identified({"shoeBrand": "Nord"}))


@pytest.mark.parametrize(
    ("rule", "pointer", "code"),
    [
        ({"trait": "plna", "is": "pro"}, "/rule/trait", "unknown_field"),
        ({"all": [{"trait": "plan", "is": "pro"}, {"not": {"trait": "x.y", "exists": True}}]}, "/rule/all/1/not/trait",
         "unknown_field"),
        ({"trait": "plan", "is": "gold"}, "/rule/is", "wrong_type"),
        ({"trait": "plan", "not_in": ["pro", "gold"]}, "/rule/not_in", "wrong_type"),
        ({"trait": "plan", "gt": 3}, "/rule/gt", "wrong_type"),
        ({"trait": "size", "is": "large"}, "/rule/is", "wrong_type"),
        ({"trait": "size", "contains": "4"}, "/rule/contains", "wrong_type"),
        ({"trait": "size", "before": "2026-01-01"}, "/rule/before", "wrong_type"),
        ({"trait": "adult", "is": "maybe"}, "/rule/is", "wrong_type"),
        ({"trait": "birthday", "gte": 5}, "/rule/gte", "wrong_type"),
        ({"trait": "nick", "within_last": "P3D"}, "/rule/within_last", "wrong_type"),
        ({"trait": "nick.first", "is": "x"}, "/rule/trait", "wrong_type"),
        ({"trait": "colours", "is": "red"}, "/rule/is", "wrong_type"),
        ({"trait": "tags", "starts_with": "v"}, "/rule/starts_with", "wrong_type"),
    ],
    ids=str,
)  # fmt: skip
async def test_what_cannot_be_is_refused_with_where_it_stands(
    client: httpx.AsyncClient, rule: dict[str, Any], pointer: str, code: str
) -> None:
    for path, body in (("/v1/segments", {"name": "x", "rule": rule}), ("/v1/segments/preview", {"rule": rule})):
        refused = await client.post(path, json=body)
        assert refused.status_code == 422, refused.text
        assert [(error["pointer"], error["code"]) for error in refused.json()["errors"]] == [(pointer, code)]


@pytest.mark.parametrize(
    "rule",
    [
        {"trait": "plan", "in": ["pro", "free"]},
        {"trait": "size", "is": "41.5"},
        {"trait": "size", "gte": 40},
        {"trait": "adult", "is": True},
        {"trait": "birthday", "before": "2000-01-01"},
        {"trait": "nick", "starts_with": "a"},
        {"trait": "colours", "contains": "red"},
        {"trait": "colours[]", "is": "red"},
        {"trait": "address.city", "is": "Ulm"},
        {"trait": "favourite", "gt": 3},
        {"trait": "shoeBrand", "gt": 3},
        {"trait": "tags", "contains": "vip"},
        {"trait": "stage", "is": "new"},
        {"event": "Never Heard Of", "where": [{"property": "x", "gt": 1}]},
    ],
    ids=str,
)
async def test_what_can_be_is_taken(client: httpx.AsyncClient, rule: dict[str, Any]) -> None:
    made = await client.post("/v1/segments", json={"name": "x", "rule": rule})
    assert made.status_code == 201, made.text


async def test_a_slip_of_the_pen_is_told(client: httpx.AsyncClient) -> None:
    refused = await client.post("/v1/segments", json={"name": "x", "rule": {"trait": "bithday", "exists": True}})
    assert "did you mean birthday?" in refused.json()["detail"]
