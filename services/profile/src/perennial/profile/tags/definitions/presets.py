"""The catalogue that is shipped: data files beside this module, written where the shop has not made them its own."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Any

from perennial.common import rules
from perennial.common.db import WriteSession
from perennial.common.rules.values.durations import parse_duration
from perennial.profile.tags import recompute, shares
from perennial.profile.tags.definitions import queries
from perennial.profile.tags.definitions.schemas import TagChange, TagIn

BY = "service:catalogue"


@cache
def load(name: str) -> Sequence[Mapping[str, Any]]:
    """The entries of a data file of this package."""
    document = resources.files("perennial.profile.tags.definitions").joinpath(name).read_text("utf-8")
    entries: list[Mapping[str, Any]] = json.loads(document)
    return entries


def tags() -> list[TagIn]:
    """The tags of the catalogue."""
    return [TagIn.model_validate(entry) for entry in load("catalogue.json")]


def basis(body: TagIn) -> dict[str, Any]:
    """What a tag is derived from, as it is stored."""
    if body.rule is not None:
        return {"rule": rules.dump(rules.parse(body.rule))}
    return said(body)


def said(body: TagIn | TagChange) -> dict[str, Any]:
    """What a tag that is no rule is derived from."""
    parts = {"computed": body.computed, "words": body.words}
    return {name: found.model_dump(exclude_none=True) for name, found in parts.items() if found is not None}


def seconds(lasts: str | None) -> int | None:
    """A duration as it is stored."""
    return None if lasts is None else int(parse_duration(lasts).total_seconds())


async def seed(session: WriteSession) -> list[str]:
    """Bring the catalogue into the database; returns what changed. What a shop edited or archived stays as it is."""
    documents = []
    for body in tags():
        document = {
            **body.model_dump(include={"key", "label", "about", "dimension", "kind", "weights"}),
            "basis": basis(body),
            "lasts": seconds(body.lasts),
            "origin": "preset",
        }
        digest = sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
        documents.append({**document, "digest": digest})
    changed = await queries.put(session, documents, BY)
    if changed:
        await recompute.want(session)
        await shares.want(session)
    return changed
