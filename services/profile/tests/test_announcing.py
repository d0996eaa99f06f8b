"""What was derived before somebody began to listen is said again on request."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.profile.rows import announcing


async def test_everybody_is_said_again_with_newer_versions(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcing, "AT_ONCE", 2)
    customers = [uuid7() for _ in range(3)]
    async with runtime.database.write() as session:
        await session.execute(
            text("""INSERT INTO customer (customer_id, computed, tags, stage, as_of)
                    SELECT id, '{"orders_ever": 3}', '{vip,app}', 'new', now()
                    FROM unnest(CAST(:ids AS uuid[])) AS id"""),
            {"ids": customers},
        )
        await session.execute(
            text("""INSERT INTO customer_stage (customer_id, ladder, stage, since, by, version)
                    SELECT id, 'standard', 'new', now(), 'rule:x:1', 7 FROM unnest(CAST(:ids AS uuid[])) AS id"""),
            {"ids": customers[:1]},
        )
        await session.execute(text("DELETE FROM outbox"))
    assert await announcing.everybody(runtime.database) == 3
    first = await said(runtime)
    assert {item["customer"] for item in first["tags"]} == {str(one) for one in customers}
    assert [item["tags"] for item in first["tags"]] == [["app", "vip"]] * 3
    assert not any(item.get("live") or item.get("added") for items in first.values() for item in items)
    assert [item["traits"] for item in first["computed"]] == [{"orders_ever": 3}] * 3
    assert [(item["customer"], item["stage"], item["version"]) for item in first["stages"]] == [
        (str(customers[0]), "new", 7)
    ]
    await announcing.everybody(runtime.database)
    again = await said(runtime)
    assert min(item["version"] for item in again["tags"]) > max(item["version"] for item in first["tags"])
    assert min(item["version"] for item in again["computed"]) > max(item["version"] for item in first["computed"])


async def said(runtime: Runtime) -> dict[str, list[dict[str, Any]]]:
    """What was said of tags, computed traits and stages, and is forgotten then."""
    found: dict[str, list[dict[str, Any]]] = {"tags": [], "computed": [], "stages": []}
    async with runtime.database.write() as session:
        for subject, body in await session.execute(text("SELECT subject, body FROM outbox ORDER BY id")):
            for kind in found:
                if kind in subject:
                    found[kind] += msgspec.json.decode(body)["customers"]
        await session.execute(text("DELETE FROM outbox"))
    return found
