"""Routes of topics."""

from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy import Row

from perennial.common import audit
from perennial.common.problems import NotFound
from perennial.common.web import Page, PageQuery, Read, Write, documented, paged
from perennial.common.web.cursors import last_text
from perennial.common.web.etags import NEW, IfMatch, IfMatchOrNew, match, tag
from perennial.profile.tags.definitions.api import KeyPath, MayDefine, MayLook
from perennial.profile.tags.words import queries, service
from perennial.profile.tags.words.schemas import TopicIn, TopicOut

router = APIRouter(prefix="/v1/topics", tags=["tags"])


@router.get("", responses=documented(400))
async def list_topics(page: PageQuery, session: Read, _: MayLook) -> Page[TopicOut]:
    """What customers' words are looked through for, in the order of the keys."""
    after = last_text(page) or ""
    rows = [row for row in await queries.topics(session) if row.key > after][: page.limit + 1]
    return paged([_out(row) for row in rows], page, lambda item: [item.key])


@router.get("/{key}", responses=documented(404))
async def get_topic(key: KeyPath, response: Response, session: Read, _: MayLook) -> TopicOut:
    """One topic with its words."""
    row = await queries.topic(session, key)
    if row is None or not row.active:
        raise _unknown(key)
    tag(response, row.version)
    return _out(row)


@router.put("/{key}", responses=documented(400, 412, 428))
async def replace_topic(
    key: KeyPath, body: TopicIn, expected: IfMatchOrNew, response: Response, session: Write, who: MayDefine
) -> TopicOut:
    """A new topic, or other words for one; what was said before is heard again in the background."""
    row = await queries.topic(session, key, lock=True)
    if row is not None and row.active:
        match(expected, row.version)
    elif expected != NEW:
        raise _unknown(key)
    origin = "own" if row is None else row.origin
    await queries.put(session, [{"key": key, **body.model_dump(), "origin": origin, "edited": True}])
    await service.want_again(session)
    await audit.record(session, who, "topic.changed", key, {"terms": body.terms.model_dump()})
    changed = await queries.topic(session, key)
    assert changed is not None  # noqa: S101 (just written)
    tag(response, changed.version)
    return _out(changed)


@router.delete("/{key}", status_code=204, responses=documented(400, 404, 412, 428))
async def drop_topic(key: KeyPath, expected: IfMatch, session: Write, who: MayDefine) -> None:
    """Listen for it no more."""
    row = await queries.topic(session, key, lock=True)
    if row is None or not row.active:
        raise _unknown(key)
    match(expected, row.version)
    await queries.drop(session, key)
    await service.want_again(session)
    await audit.record(session, who, "topic.dropped", key)


def _out(row: Row[Any]) -> TopicOut:
    return TopicOut.model_validate({name: getattr(row, name) for name in TopicOut.model_fields})


def _unknown(key: str) -> NotFound:
    return NotFound(f"key: there is no topic {key!r}", pointer="path/key")
