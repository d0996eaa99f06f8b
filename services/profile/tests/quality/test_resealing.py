"""What findings hold of sealed traits is sealed again when another key is the first of the ring."""

from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from perennial.common.db import WriteSession
from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.common.settings import CommonSettings
from perennial.common.testing.events import identified
from perennial.profile.quality.measuring import jobs
from perennial.profile.settings import ProfileSettings
from perennial.profile.traits import sealing

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def turn(runtime: Runtime, settings: CommonSettings) -> Iterator[Callable[[str], None]]:
    """`turn("2:…,1:…")`: the ring of the whole process is another one."""
    before = runtime.database.info

    def turned(ring: str) -> None:
        given = {**settings.model_dump(), "encryption_key": None, "encryption_keys": SecretStr(ring)}
        made = ProfileSettings.model_validate(given)
        runtime.settings = made
        runtime.database.info = {**before, "settings": made}

    yield turned
    runtime.settings, runtime.database.info = settings, before


async def test_findings_are_sealed_again_and_can_be_read(
    *, hear: Callable[..., Awaitable[None]], get: Any, measure: Any, rule: Any, session: WriteSession, runtime: Runtime,
    turn: Callable[[str], None], settings: CommonSettings, monkeypatch: pytest.MonkeyPatch, operate: Any, derive: Any,
) -> None:  # fmt: skip
    monkeypatch.setattr(jobs, "AT_ONCE", 2)
    vias = [uuid7() for _ in range(6)]
    await hear(*[identified({"email": "a@b.example"}, via=via, at=NOON + number * timedelta(minutes=1))
                 for number, via in enumerate(vias)])  # fmt: skip
    made = await rule(kind="duplicate", key="email", action="quarantine")
    await measure()
    assert (await operate(f"/v1/quality/rules/{made['id']}/apply"))["caught"] == 5
    old = ProfileSettings.model_validate(settings.model_dump()).encryption_key
    assert old is not None
    turn(f"2:{'cd' * 32},1:{old.get_secret_value()}")
    await jobs.reseal(runtime)
    values = list((await session.execute(text("SELECT value FROM quality_finding"))).scalars())
    assert {sealing.ring_of(value) for value in values} == {2}
    assert {found["value"] for found in (await get("/v1/quality/findings"))["items"]} == {"a@b.example"}
