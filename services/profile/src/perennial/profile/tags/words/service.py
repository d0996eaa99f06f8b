"""Hear what customers say: noted with the event, analysed in batches behind it, never in its transaction."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import structlog

from perennial.common import identity_map, notify
from perennial.common.contracts.base import utc_now
from perennial.common.db import WriteSession
from perennial.common.derive import mark
from perennial.common.timers import Timer, schedule
from perennial.profile.tags.definitions import presets
from perennial.profile.tags.words import hearing, queries, sentiment

log = structlog.get_logger()

Told = tuple[UUID, str, Mapping[str, Any] | None]
"""The event's id, the kind of text, the event's properties; None where the timeline has dropped it."""

WORDS = "words"
REHEAR = "rehear"
BATCH, STEP = 200, 10_000
# The texts of tickets are in no contract, so what is said there is not heard.
TEXTS = {
    "Product Reviewed": ("review", "review_body"),
    "Products Searched": ("search", "query"),
    "Live Chat Message Sent": ("message", "message_body"),
}


async def note(session: WriteSession, rows: Sequence[tuple[UUID, UUID, datetime, str, bool]]) -> None:
    """Remember who said something: (event's id, via, at, kind, live)."""
    if rows:
        await queries.note(session, rows)
        await notify.notify(session, WORDS)


async def hear(session: WriteSession) -> int:
    """Analyse one batch, in a thread, and have the customers derived again; returns how many texts there were."""
    rows = await queries.unheard(session, BATCH)
    if not rows:
        return 0
    topics = hearing.terms([dict(row._mapping) for row in await queries.topics(session)])  # noqa: SLF001 (public API)
    told = [(row.id, row.kind, row.properties) for row in rows]
    await queries.hear(session, await asyncio.to_thread(_analyse_safely, topics, told))
    owners = await identity_map.customers_of(session, {row.via for row in rows})
    live = {owners[row.via] for row in rows if row.live and row.via in owners}
    await mark(session, live, live=True)
    await mark(session, set(owners.values()) - live, live=False, settle=True)
    return len(rows)


def _analyse_safely(topics: hearing.Terms, told: Sequence[Told]) -> list[dict[str, Any]]:
    """A text that a model cannot bear is passed over, so that it holds up no other."""
    try:
        return analyse(topics, told)
    except Exception:
        if len(told) == 1:
            log.exception("words.unheard", event_id=str(told[0][0]))
            return [{"id": told[0][0], "topics": None, "polarity": None}]
        return [found for one in told for found in _analyse_safely(topics, [one])]


def analyse(topics: hearing.Terms, told: Sequence[Told]) -> list[dict[str, Any]]:
    """What texts are about and how they sound. A text that is no longer there keeps what is known of it."""
    ear, kinds = hearing.ear(topics), dict(TEXTS.values())
    texts = [_text(properties, kinds[kind]) for _, kind, properties in told]
    polarities = [_told(polarity) for polarity in sentiment.model().polarities(texts)]
    found: list[dict[str, Any]] = []
    for (any_id, kind, properties), said, polarity in zip(told, texts, polarities, strict=True):
        if properties is None:
            found.append({"id": any_id, "topics": None, "polarity": None})
            continue
        heard = sentiment.with_stars(polarity, properties.get("rating")) if kind == "review" else polarity
        found.append({"id": any_id, "topics": ear.topics(said), "polarity": heard})
    return found


def _told(polarity: float | None) -> float | None:
    """What a model may say: whose number is none says nothing."""
    return polarity if polarity is not None and -1 <= polarity <= 1 else None


def _text(properties: Mapping[str, Any] | None, name: str) -> str:
    said = (properties or {}).get(name)
    return said[: hearing.LONGEST] if isinstance(said, str) else ""


async def want_again(session: WriteSession) -> None:
    """The topics changed: hear everything once more, in steps."""
    await schedule(session, [Timer(REHEAR, "everything", utc_now())])


async def rehear(session: WriteSession, timers: Sequence[Timer]) -> None:
    """Put the next texts back into the queue, and come back for the rest."""
    for timer in timers:
        last = await queries.again(session, UUID(timer.payload.get("after", str(UUID(int=0)))), STEP)
        if last is not None:
            await schedule(session, [Timer(REHEAR, timer.key, utc_now(), {"after": last})])
            await notify.notify(session, WORDS)


async def seed(session: WriteSession) -> list[str]:
    """Bring the topics into the database where the shop has not made them its own; returns what changed."""
    documents = []
    for topic in presets.load("topics.json"):
        digest = sha256(json.dumps(topic, sort_keys=True).encode()).hexdigest()
        documents.append({**topic, "origin": "preset", "digest": digest, "edited": False})
    changed = await queries.put(session, documents)
    if changed:
        await want_again(session)
    return changed
