"""Takes what a row of a file says of tags, and tells before what a file may bring."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from perennial.common.contracts.hot import read_body
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import ReadSession, WriteSession
from perennial.common.imported import EVENT
from perennial.common.problems import Unprocessable
from perennial.profile.consents import service as consents
from perennial.profile.consents.service import Decision
from perennial.profile.imported import queries
from perennial.profile.imported.queries import Given

LONGEST = 100


async def record(session: WriteSession, events: Sequence[ResolvedEvent]) -> None:
    """Note the tags that files give or take back; one that is archived or derived by now is passed over."""
    wanted = [event for event in events if event.name == EVENT]
    if not wanted:
        return
    lasts = await queries.givable(session)
    newest: dict[tuple[Any, str], Given] = {}
    for given in (given for event in wanted for given in _given(event, lasts)):
        place = (given.via, given.key)
        if place not in newest or newest[place].at <= given.at:
            newest[place] = given
    await queries.say(session, [newest[place] for place in sorted(newest)])


def _given(event: ResolvedEvent, lasts: dict[str, int | None]) -> Iterator[Given]:
    properties = read_body(event.body).properties or {}
    tags = properties.get("tags")
    at = min(event.timestamp, event.received_at)
    why = f"import {str(properties.get('import') or '')[:LONGEST]}".strip()
    for key, held in (tags if isinstance(tags, dict) else {}).items():
        if key in lasts and isinstance(held, bool):
            seconds = lasts[key] if held else None
            until = None if seconds is None else at + timedelta(seconds=seconds)
            yield Given(event.via, key, held, at, f"source:{event.source}", why, until)


async def givable(session: ReadSession) -> list[str]:
    """The tags that a file may give: those that people or imports give."""
    return list(await queries.givable(session))


async def unfit(session: ReadSession, wanted: Sequence[Decision]) -> list[tuple[int, str, str]]:
    """(place, code, why) of consents that a file cannot tell: they are checked as if a customer chose them."""
    found = []
    for index, one in enumerate(wanted):
        try:
            await consents.check(session, one)
        except Unprocessable as error:
            found.append((index, error.code, error.detail))
    return found
