"""Other services are told what traits there are."""

from typing import Any

import httpx
import msgspec
from sqlalchemy import text

from perennial.common.runtime import Runtime
from perennial.profile.traits.definitions import telling
from perennial.profile.traits.definitions.presets import PRESETS

ANY = {"If-Match": "*"}


async def told(runtime: Runtime) -> list[dict[str, Any]]:
    """What was said of traits, and is forgotten then."""
    async with runtime.database.write() as session:
        subject = "profile.traits.defined.v1"
        rows = await session.execute(text("SELECT body FROM outbox WHERE subject = :s ORDER BY id"), {"s": subject})
        said = [item for body in rows.scalars() for item in msgspec.json.decode(body)["traits"]]
        await session.execute(text("DELETE FROM outbox"))
    return said


def _short(item: dict[str, Any]) -> tuple[Any, ...]:
    return item["key"], item["type"], item["values"], item["computed"], item["archived"], item["version"]


async def test_each_change_of_a_definition_is_told(client: httpx.AsyncClient, runtime: Runtime) -> None:
    size = {"key": "size", "label": {"en": "Size"}, "type": "enum", "values": [{"value": "S"}, {"value": "M"}]}
    for choice in size["values"]:
        choice["label"] = {"en": choice["value"]}  # type: ignore[index]
    made = await client.post("/v1/traits", json=size)
    assert made.status_code == 201, made.text
    assert [_short(item) for item in await told(runtime)] == [("size", "enum", ["S", "M"], False, False, 1)]
    body = {"label": {"en": "Size"}, "type": "number"}
    assert (await client.put("/v1/traits/size", json=body, headers=ANY)).status_code == 200
    assert [_short(item) for item in await told(runtime)] == [("size", "number", [], False, False, 2)]
    assert (await client.post("/v1/traits/size/archive", headers=ANY)).status_code == 200
    assert [_short(item) for item in await told(runtime)] == [("size", "number", [], False, True, 3)]


async def test_what_is_built_in_stays_when_a_definition_of_it_goes(client: httpx.AsyncClient, runtime: Runtime) -> None:
    plan = {"key": "plan", "label": {"en": "Plan"}, "type": "number"}
    assert (await client.post("/v1/traits", json=plan)).status_code == 201
    assert (await client.post("/v1/traits/plan/archive", headers=ANY)).status_code == 200
    assert [_short(item) for item in await told(runtime)] == [
        ("plan", "number", [], False, False, 1),
        ("plan", "string", [], False, False, 2),
    ]


async def test_computed_traits_are_told_with_the_type_of_their_function(
    client: httpx.AsyncClient, runtime: Runtime
) -> None:
    for key, spec in (
        ("orders_ever", {"function": "count", "events": ["Order Completed"]}),
        ("first_seen_at", {"function": "first", "events": ["Seen"]}),
        ("last_colour", {"function": "last", "events": ["Seen"], "property": "colour"}),
        ("colours", {"function": "unique_list", "events": ["Seen"], "property": "colour"}),
    ):
        body = {"key": key, "label": {"en": key, "zh": "键"}, **spec}
        made = await client.post("/v1/computed-traits", json=body, headers={"Idempotency-Key": key})
        assert made.status_code == 201, made.text
    assert [(item["key"], item["type"], item["computed"]) for item in await told(runtime)] == [
        ("orders_ever", "number", True),
        ("first_seen_at", "datetime", True),
        ("last_colour", "any", True),
        ("colours", "list", True),
    ]
    await client.delete("/v1/computed-traits/colours", headers=ANY)
    assert [(item["key"], item["archived"]) for item in await told(runtime)] == [("colours", True)]


async def test_all_of_it_is_told_when_profile_starts(client: httpx.AsyncClient, runtime: Runtime) -> None:
    await client.post("/v1/traits", json={"key": "plan", "label": {"en": "Plan"}, "type": "number"})
    await told(runtime)
    await telling.announce(runtime)
    said = {item["key"]: item for item in await told(runtime)}
    assert said.keys() >= PRESETS.keys()
    assert (said["plan"]["type"], said["birthday"]["type"], said["birthday"]["version"]) == ("number", "date", 0)
