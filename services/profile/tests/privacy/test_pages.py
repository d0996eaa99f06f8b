"""An export is read page by page behind the last row, so that what goes meanwhile hides nothing that stays."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from perennial.common.db import WriteSession
from perennial.common.ids import uuid7
from perennial.common.privacy import Subject, exporting
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import identified, tracked
from perennial.profile.privacy.declared import PRIVACY

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def _source(runtime: ServiceRuntime) -> exporting.Source:
    return exporting.Source(runtime, PRIVACY, runtime.service.metadata)


async def _everything(runtime: ServiceRuntime, subject: Subject) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    section: int | None = 0
    after = ""
    while section is not None:
        page = await exporting.page(_source(runtime), subject, section, after)
        if page.section is not None:
            found.setdefault(page.section, []).extend(page.rows)
        section, after = page.next_section, page.after
    return found


async def test_pages_of_any_size_are_the_same_rows_of_every_table(
    runtime: ServiceRuntime, hear: Any, assign: Any, derive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = uuid7(), uuid7()
    await assign(one, one, other, version=1)
    for number in range(5):
        at = NOON + timedelta(days=number)
        await hear(
            identified({"name": f"Ada {number}", f"trait {number}": number}, via=other, at=at),
            tracked("Order Completed", {"order_id": f"o{number}", "total": 30}, via=one, at=at),
            tracked("Consent Given", {"purpose": "marketing", "channel": "email"}, via=one, at=at),
        )
    await derive()
    subject = Subject(frozenset({one, other}), frozenset())
    whole = await _everything(runtime, subject)
    assert len(whole["event"]) >= 15
    for rows in (1, 2):
        monkeypatch.setattr(exporting, "ROWS", rows)
        assert await _everything(runtime, subject) == whole


async def test_what_goes_meanwhile_hides_nothing_that_stays(
    runtime: ServiceRuntime, hear: Any, session: WriteSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    via = uuid7()
    await hear(*[tracked(f"Seen {n}", via=via, at=NOON) for n in range(6)])
    monkeypatch.setattr(exporting, "ROWS", 2)
    subject = Subject(frozenset({via}), frozenset())
    section = [name for name, held in PRIVACY.all().items() if getattr(held, "exported", True)].index("counter")
    first = await exporting.page(_source(runtime), subject, section, "")
    await session.execute(text("DELETE FROM counter WHERE name < 'Seen 2'"))
    second = await exporting.page(_source(runtime), subject, section, first.after)
    assert [row["name"] for row in first.rows + second.rows] == ["Seen 0", "Seen 1", "Seen 2", "Seen 3"]
