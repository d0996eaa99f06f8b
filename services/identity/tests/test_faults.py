"""The points at which the end-to-end stories kill identity are where they are said to be."""

import asyncio
from typing import Any

import msgspec
import pytest

from perennial.common import faults
from perennial.common.contracts.gateway import STREAM, SUBJECT, EventsAccepted
from perennial.common.contracts.identity import RESOLVED_STREAM
from perennial.common.runtime import Runtime
from perennial.identity.worker import consume

PASSED = ("looked_up", "decided", "committed", "publishing", "unacknowledged")


async def test_a_pull_passes_every_point_on_its_way(
    live_runtime: Runtime, accept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Committed before it is published, published before it is acknowledged."""
    passed: list[str] = []
    monkeypatch.setattr(faults, "point", passed.append)
    body = msgspec.json.encode(EventsAccepted("shop", [accept(userId="u")]))
    await live_runtime.js.publish(SUBJECT, body)
    task = asyncio.create_task(consume(live_runtime))
    async with asyncio.timeout(20):
        while (await live_runtime.js.stream_info(STREAM)).state.messages:
            await asyncio.sleep(0.02)
    live_runtime.stopping.set()
    await task
    assert passed == [f"identity.{point}" for point in PASSED]
    assert (await live_runtime.js.stream_info(RESOLVED_STREAM)).state.messages == 1
