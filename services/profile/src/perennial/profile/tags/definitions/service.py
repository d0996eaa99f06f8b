"""The verbs of tag definitions: define, change, archive, count."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Row

from perennial.common import masks, rules
from perennial.common.auth import Principal
from perennial.common.db import ReadSession, WriteSession
from perennial.common.problems import Conflict, NotFound, Unprocessable
from perennial.common.rules import Rule, RuleError
from perennial.common.rules.values.durations import format_duration
from perennial.profile.tags import recompute, shares
from perennial.profile.tags.definitions import presets, queries, telling
from perennial.profile.tags.definitions.compiled import STAGE
from perennial.profile.tags.definitions.schemas import TagChange, TagIn, TagOut

DERIVED_FROM = ("rule", "computed", "words")


def read_rule(who: Principal, document: Mapping[str, Any], pointer: str = "/rule") -> Rule:
    """The rule of a request. Raises Unprocessable with the path of the fault, Forbidden for a field masked for them."""
    try:
        rule = rules.parse(dict(document))
    except RuleError as error:
        raise Unprocessable(f"rule: {error}", code="invalid_rule", pointer=f"{pointer}{error.pointer}") from error
    masks.check_rule(who, rule, pointer)
    return rule


async def define(session: WriteSession, who: Principal, body: TagIn) -> Row[Any]:
    """A new tag; everybody is looked at in the background. Raises Conflict where the key is taken."""
    document = body.model_dump(include={"key", "label", "about", "dimension", "kind", "owner", "weights"})
    document |= {"basis": _basis(who, body), "lasts": presets.seconds(body.lasts), "origin": "own"}
    if not await queries.put(session, [document], by(who)):
        raise Conflict(f"key: there is a tag {body.key!r} already", code="key_taken", pointer="/key")
    if body.kind in DERIVED_FROM:
        await recompute.want(session)
        await shares.want(session)
    made = await find(session, body.key)
    await telling.tell(session, [made])
    return made


async def change(session: WriteSession, who: Principal, row: Row[Any], body: TagChange) -> Row[Any]:
    """A new version. What customers show follows in the background where it can be another."""
    given = body.model_fields_set
    for name in DERIVED_FROM:
        if name in given and name != row.kind:
            raise Unprocessable(
                f"{name}: does not belong to the kind {row.kind}", code="wrong_kind", pointer=f"/{name}"
            )
    if given & {"lasts"} and body.lasts is not None and row.kind in DERIVED_FROM:
        raise Unprocessable(f"lasts: does not belong to the kind {row.kind}", code="wrong_kind", pointer="/lasts")
    document = {
        name: getattr(row, name)
        for name in ("label", "about", "dimension", "owner", "lasts", "basis", "weights", "active")
    }
    document |= body.model_dump(include=given & document.keys())
    if "lasts" in given:
        document["lasts"] = presets.seconds(body.lasts)
    if given & set(DERIVED_FROM):
        document["basis"] = _basis(who, body)
    changed = await queries.change(session, row.key, document, by(who))
    if changed.basis != row.basis or changed.active != row.active:
        await recompute.want(session)
        await shares.want(session)
    await telling.tell(session, [changed])
    return changed


def _basis(who: Principal, body: TagIn | TagChange) -> dict[str, Any]:
    if body.rule is not None:
        rule = read_rule(who, body.rule)
        if STAGE in rules.footprint(rule).traits:
            raise Unprocessable(
                "rule: a tag cannot depend on the stage, which is derived from the tags", code="invalid_rule",
                pointer="/rule",
            )  # fmt: skip
        return {"rule": rules.dump(rule)}
    if body.computed is not None:  # where a share begins tells about the numbers that it is of
        masks.check_rule(who, rules.parse({"trait": body.computed.trait, "gte": 0}), "/computed")
    return presets.said(body)


def by(who: Principal) -> str:
    """How a principal is written down."""
    return f"{who.kind}:{who.id}"


async def find(session: ReadSession, key: str, *, lock: bool = False) -> Row[Any]:
    """A definition. Raises NotFound."""
    row = await queries.one(session, key, lock=lock)
    if row is None:
        raise NotFound(f"key: there is no tag {key!r}", pointer="path/key")
    return row


def shown(row: Row[Any], who: Principal) -> TagOut:
    """A definition as the principal may see it."""
    rule = masks.shown_rule(who, rules.parse(row.basis["rule"])) if row.kind == "rule" else None
    return TagOut.model_validate(
        {
            **row._mapping,  # noqa: SLF001 (public API)
            "lasts": None if row.lasts is None else format_duration(timedelta(seconds=row.lasts)),
            "rule": None if rule is None else rules.dump(rule),
            "sentence": None if rule is None else rules.describe(rule),
            "computed": row.basis.get("computed"),
            "words": row.basis.get("words"),
            "cut": None if row.cut is None or not masks.sees(who, row.basis["computed"]["trait"]) else f"{row.cut:f}",
        }
    )
