"""Define rules on quality: versions of data, in force from the next batch on. Nothing that is stored is touched."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from perennial.common import audit, masks
from perennial.common.auth import Principal
from perennial.common.db import ReadSession, WriteSession
from perennial.common.ids import uuid7
from perennial.common.problems import Conflict, Forbidden, NotFound, Unprocessable
from perennial.common.web import etags
from perennial.profile.quality.rules import queries
from perennial.profile.traits.definitions import schema

MOST_RULES = 500


async def define(session: WriteSession, who: Principal, body: Mapping[str, Any]) -> dict[str, Any]:
    """A new rule. Raises Forbidden for a trait that is masked, Unprocessable for one that cannot be compared."""
    await schema.change(session)
    await _check(session, who, body)
    if await queries.number(session) >= MOST_RULES:
        raise Conflict(f"there are {MOST_RULES} rules already", code="too_many_rules")
    rule = uuid7()
    await queries.save(session, rule, body, 1, _name(who))
    await audit.record(session, who, "quality_rule.created", str(rule), dict(body))
    return await find(session, rule)


async def change(
    session: WriteSession, who: Principal, rule: UUID, body: Mapping[str, Any], expected: int | None
) -> dict[str, Any]:
    """The next version of a rule; what it found stays. Raises NotFound, PreconditionFailed and as `define`."""
    row = await _held(session, rule, expected)
    await _check(session, who, body)
    if row["definition"]["kind"] != body["kind"]:
        raise Unprocessable("kind: a rule keeps its kind; make another one", pointer="/kind", code="kind_changed")
    await queries.save(session, rule, body, row["version"] + 1, _name(who))
    if {name: row["definition"].get(name) for name in ("key", "source", "measure")} != {
        name: body.get(name) for name in ("key", "source", "measure")
    }:
        await queries.forget(session, rule)
        await queries.forget_values(session, row["definition"].get("key") or "")
    await audit.record(session, who, "quality_rule.changed", str(rule), dict(body))
    return await find(session, rule)


async def archive(session: WriteSession, who: Principal, rule: UUID, expected: int | None) -> None:
    """Take a rule out of force; what it did stays, and can be undone. Raises NotFound, PreconditionFailed."""
    row = await _held(session, rule, expected)
    await queries.save(session, rule, row["definition"], row["version"] + 1, _name(who), archived=True)
    await queries.forget(session, rule)
    await queries.forget_values(session, row["definition"].get("key") or "")
    await audit.record(session, who, "quality_rule.archived", str(rule))


async def find(session: ReadSession, rule: UUID) -> dict[str, Any]:
    """A rule, archived ones too. Raises NotFound."""
    row = await queries.one(session, rule)
    if row is None:
        raise NotFound(f"id: there is no rule {rule}", pointer="path/id")
    return row


async def configure(session: WriteSession, who: Principal, body: Mapping[str, Any], expected: int | None) -> int:
    """Write the settings and return their version. Raises PreconditionFailed."""
    await schema.change(session)
    version, _ = await queries.settings(session, lock=True)
    etags.match(expected, version)
    await queries.set_settings(session, body)
    await audit.record(session, who, "quality.configured", "quality", dict(body))
    return version + 1


async def _held(session: WriteSession, rule: UUID, expected: int | None) -> dict[str, Any]:
    await schema.change(session)  # batches under way end first: from here on no value is judged by the old rule
    row = await find(session, rule)
    if row["archived"]:
        raise NotFound(f"id: the rule {rule} is archived", pointer="path/id")
    etags.match(expected, row["version"])
    return row


async def _check(session: ReadSession, who: Principal, body: Mapping[str, Any]) -> None:
    key = body.get("key")
    if key is None:
        return
    known = await schema.in_force(session)
    if body["kind"] in {"outlier", "duplicate"} and not masks.sees(schema.seeing(who, known), key):
        raise Forbidden(f"key: {key} is masked for you, so you cannot judge its values", code="masked", pointer="/key")
    if body["kind"] == "outlier" and known.class_of(key) == "sensitive":
        raise Unprocessable(f"key: {key} is sensitive: sealed values cannot be compared", code="sealed", pointer="/key")


def _name(who: Principal) -> str:
    return f"{who.kind}:{who.id}"
