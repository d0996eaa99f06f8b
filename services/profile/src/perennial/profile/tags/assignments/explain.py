"""Why a customer shows a tag: asked right now, by the same closures as the answer."""

import json
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from perennial.common import identity_map, masks, rules
from perennial.common.auth import Principal
from perennial.common.contracts.base import utc_now
from perennial.common.db import ReadSession
from perennial.common.rules import Rule
from perennial.common.web.reasons import reason
from perennial.profile.params import nobody
from perennial.profile.rows import queries as rows
from perennial.profile.rows.drafts import UNSEEN, Draft
from perennial.profile.tags.assignments.schemas import Heard, TagExplanation
from perennial.profile.tags.definitions import compiled
from perennial.profile.tags.definitions import service as definitions
from perennial.profile.tags.definitions.compiled import Need, Share, Tag
from perennial.profile.tags.derivation import needs, queries, views
from perennial.profile.tags.derivation.service import within
from perennial.profile.traits import sealing

MOST_HEARD = 10


async def explain(session: ReadSession, who: Principal, any_id: UUID, key: str) -> TagExplanation:
    """Which leaf held with which value, which words were heard, or who gave it.

    Raises NotFound, and Forbidden where the rule compares what is masked for who asks.
    """
    customer = await identity_map.customer_of(session, any_id)
    if customer is None:
        raise nobody(any_id)
    definition = await definitions.find(session, key)
    row = (await rows.rows(session, [customer])).get(customer) or {"traits": {}, "computed": {}, "tags": []}
    traits = sealing.opened_traits(sealing.vault_of(session), row["traits"])
    draft = Draft(
        customer, [], live=False, traits=traits, computed=row["computed"], tags=row["tags"],
        stage=row.get("stage"), seen=(await rows.seen(session, [customer])).get(customer, UNSEEN),
    )  # fmt: skip
    tag = compiled.compiled(key, definition.kind, definition.version, json.dumps(definition.basis), _cut(definition))
    told = {
        "customer_id": customer, "key": key, "kind": definition.kind, "shown": key in row["tags"], "as_of": utc_now(),
    }  # fmt: skip
    return TagExplanation.model_validate({**told, **await _why(session, who, tag, draft, told["as_of"])})


async def _why(session: ReadSession, who: Principal, tag: Tag, draft: Draft, now: datetime) -> dict[str, Any]:
    if tag.rule is not None:
        masks.check_rule(who, tag.rule)
        return await reasons(session, who, tag.rule, draft, now)
    if tag.need is not None:
        return await _heard(session, tag.need, draft, now)
    if tag.share is not None:
        return _share(who, tag.share, draft)
    given = {row.key: row for row in await queries.given(session, [draft.id])}.get(tag.key)
    return _given(who, given, now)


async def reasons(session: ReadSession, who: Principal, rule: Rule, draft: Draft, now: datetime) -> dict[str, Any]:
    """What each part of a rule saw in a customer."""
    reads = compiled.reads_of([rule])
    detailed = replace(reads, footprint=reads.footprint.in_detail())
    facts = await views.load(session, {draft.id: detailed}, detailed, now)
    found = rules.explain(rule, facts.of(draft), now)
    return {"holds": found.holds, "reason": reason(found, who), "next_change": found.next_change}


async def _heard(session: ReadSession, need: Need, draft: Draft, now: datetime) -> dict[str, Any]:
    texts = (await queries.said(session, [draft.id], now, need.half_life * compiled.HALVINGS)).get(draft.id, [])
    score = needs.score(need, texts, now)
    speaking = [(said, needs.score(need, [said], now)) for said in reversed(texts)]
    holds = score >= need.threshold
    return {
        "holds": holds,
        "score": round(score, 3),
        "threshold": need.threshold,
        "next_change": needs.fades(need, score, now) if holds else None,
        "heard": [
            Heard(at=said.at, kind=said.kind, topics=said.topics, polarity=said.polarity, adds=round(adds, 3))
            for said, adds in speaking
            if adds
        ][:MOST_HEARD],
    }


def _share(who: Principal, share: Share, draft: Draft) -> dict[str, Any]:
    found = {**draft.traits, **draft.computed}.get(share.trait)
    return {
        "holds": within(share, found),
        "value": masks.trait(who, share.trait, found),
        "cut": None if share.cut is None or not masks.sees(who, share.trait) else format(share.cut, "f"),
    }


def _given(who: Principal, given: Row[Any] | None, now: datetime) -> dict[str, Any]:
    if given is None:
        return {"holds": False}
    lasts = given.expires_at is None or given.expires_at > now
    told = {"held": given.held, "at": given.at, "by": masks.text(who, given.by), "expires_at": given.expires_at}
    return {
        "holds": given.held and lasts,
        "given": {**told, "why": given.why and masks.text(who, given.why)},
        "next_change": given.expires_at if given.held and lasts else None,
    }


def _cut(definition: Row[Any]) -> str | None:
    return None if definition.cut is None else format(definition.cut, "f")
