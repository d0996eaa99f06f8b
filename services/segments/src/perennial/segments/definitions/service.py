"""The verbs of segment definitions: define, change, publish, restore, archive."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from perennial.common import operations, rules
from perennial.common.auth import Principal
from perennial.common.db import ReadSession, WriteSession
from perennial.common.db.locks import lock
from perennial.common.ids import uuid7
from perennial.common.problems import Conflict, NotFound, Unprocessable
from perennial.common.rules import Rule
from perennial.segments.definitions import queries
from perennial.segments.definitions.checks import check_name, check_references, read_rule
from perennial.segments.definitions.fields import check_fields
from perennial.segments.memberships import service as memberships
from perennial.segments.users import queries as elsewhere

BACKFILL = "backfill"
RULE, LIST = "rule", "list"
MOST_NAMED = 20


async def define(
    session: WriteSession, who: Principal, name: str, document: Mapping[str, Any] | None, *, kind: str = RULE,
    draft: bool = False,
) -> UUID:  # fmt: skip
    """A new segment; unless it is a draft, it is built right after this transaction. A list has no rule."""
    segment_id = uuid7()
    rule = _wanted(who, document, kind)
    await check_name(session, name, None)
    if kind == LIST:
        if draft:
            raise Unprocessable("draft: a list is no draft", code="not_a_rule", pointer="/draft")
        await queries.insert(session, segment_id, name, LIST, None, "live", None)
    else:
        assert rule is not None  # noqa: S101 (what is no list has one)
        await _check(session, rule, segment_id)
        operation = None if draft else await _start(session, who, segment_id)
        state = "draft" if draft else "building"
        await queries.insert(session, segment_id, name, RULE, json.dumps(rules.dump(rule)), state, operation)
    await queries.note(session, segment_id, _name(who))
    return segment_id


async def change(
    session: WriteSession, who: Principal, row: Row[Any], name: str | None, document: Mapping[str, Any] | None, *,
    draft: bool | None = None,
) -> None:  # fmt: skip
    """A new version; the one before serves until it is built. A draft stays one unless it is said otherwise."""
    if row.kind == LIST and (document is not None or draft is not None):
        at = "/rule" if document is not None else "/draft"
        raise Unprocessable(f"{at[1:]}: a list has none", code="not_a_rule", pointer=at)
    rule = None if document is None else read_rule(who, document)
    await _rewrite(session, who, row, name or row.name, rule, draft=draft)


async def restore(session: WriteSession, who: Principal, row: Row[Any], version: int) -> None:
    """A new version with the rule of an old one. Raises NotFound, and what `define` raises of a rule."""
    found = await queries.versions(session, row.id, version + 1, 1)
    if not found or found[0].version != version:
        raise NotFound("version: there is none with this number", pointer="path/version")
    if row.kind == LIST:
        raise Conflict("segment: a list has no rule to restore", code="not_a_rule")
    await _rewrite(session, who, row, row.name, rules.parse(found[0].rule), draft=None, restored=version)


async def _rewrite(
    session: WriteSession, who: Principal, row: Row[Any], name: str, rule: Rule | None, *, draft: bool | None,
    restored: int | None = None,
) -> None:  # fmt: skip
    await check_name(session, name, row.id)
    if rule is not None:
        await _check(session, rule, row.id)
    document = row.rule if rule is None else rules.dump(rule)
    same = document == row.rule
    if draft or (row.state == "draft" and draft is None):
        state, operation = "draft", None
    elif same and row.state != "draft":
        state, operation = row.state, row.operation_id
    else:
        state, operation = "building", await _start(session, who, row.id)
    said = None if document is None else json.dumps(document)
    await queries.rewrite(session, row.id, name, said, state, operation, same=same)
    await queries.note(session, row.id, _name(who), restored)


async def publish(session: WriteSession, who: Principal, row: Row[Any]) -> None:
    """Have a draft built, or what failed once more. Raises Conflict when there is nothing to publish."""
    if row.state not in {"draft", "failed"}:
        raise Conflict(f"segment: its newest version is {row.state}", code="not_a_draft")
    await _check(session, rules.parse(row.rule), row.id)
    await queries.build(session, row.id, await _start(session, who, row.id))


async def archive(session: WriteSession, row: Row[Any]) -> None:
    """End a segment: everybody leaves it. Raises Conflict, naming them, while rules of any service ask for it."""
    await lock(session, "segments", "references")
    users = [user.name for user in await queries.users_of(session, row.id)]
    users += [f"{user.kind} {user.name} ({user.service})" for user in await elsewhere.users_of(session, row.id)]
    if users:
        more = f" and {len(users) - MOST_NAMED} more" if len(users) > MOST_NAMED else ""
        raise Conflict(f"segment: it is used by {', '.join(users[:MOST_NAMED])}{more}", code="in_use")
    await queries.archive(session, row.id)
    await memberships.empty(session, row.id, row.name)


async def find(session: ReadSession, segment_id: UUID) -> Row[Any]:
    """A segment with its size. Raises NotFound."""
    row = await queries.one(session, segment_id)
    if row is None:
        raise NotFound("segment: there is none with this id", pointer="path/segment_id")
    return row


async def find_locked(session: WriteSession, segment_id: UUID) -> Row[Any]:
    """A segment that may be changed. Raises NotFound."""
    row = await queries.lock(session, segment_id)
    if row is None or row.state == "archived":
        raise NotFound("segment: there is none with this id", pointer="path/segment_id")
    return row


def _wanted(who: Principal, document: Mapping[str, Any] | None, kind: str) -> Rule | None:
    if kind == LIST:
        if document is not None:
            raise Unprocessable("rule: a list has none", code="not_a_rule", pointer="/rule")
        return None
    if document is None:
        raise Unprocessable("rule: is missing", code="invalid_rule", pointer="/rule")
    return read_rule(who, document)


async def _check(session: WriteSession, rule: Rule, segment_id: UUID) -> None:
    """Two that mention each other must not be defined at once, neither seeing the other."""
    if rules.footprint(rule).segments:
        await lock(session, "segments", "references")
    await check_references(session, rule, segment_id)
    await check_fields(session, rule)


async def _start(session: WriteSession, who: Principal, segment_id: UUID) -> UUID:
    return (await operations.start(session, who, BACKFILL, {"segment_id": str(segment_id)})).id


def _name(who: Principal) -> str:
    return f"{who.kind}:{who.id}"
