"""What services say happened to a customer, as rows of the timeline, and as somebody may see it."""

import functools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from perennial.common import masks, prose
from perennial.common.auth import Principal
from perennial.common.contracts import Event, catalogue
from perennial.common.contracts.base import utc_now
from perennial.common.db import WriteSession
from perennial.common.db.sessions import ASIDE
from perennial.common.ids import digest_uuid
from perennial.profile.timeline import kinds, queries, service

# Whose timeline a fact belongs to: the identifier that it names, else the customers, who bear identifiers' ids.
SIDES = ("survivor", "separated")
OWN = "profile"


@dataclass(frozen=True, slots=True)
class Told:
    """Something that profile itself has to tell; `id` is the same however often it is told, `body` names nobody."""

    id: UUID
    via: UUID
    name: str
    at: datetime
    body: Mapping[str, Any]


async def note(session: WriteSession, facts: Sequence[Event]) -> None:
    """Append what happened to the timelines of those it happened to; the inbox has kept repeats away.

    An entry that is announced on request has happened before.
    """
    now = utc_now()
    news = [fact for fact in facts if not getattr(fact, "announced", False)]
    await _append(session, [row for fact in news for row in rows_of(fact, now)])


async def tell(session: WriteSession, told: Sequence[Told]) -> None:
    """Append what profile has to tell; `name` is the kind and what happened, such as `consent.given`."""
    now = utc_now()
    rows: list[service.Row] = []
    for item in told:
        kind = item.name.partition(".")[0]
        body = json.dumps(item.body, ensure_ascii=False, default=str).encode()
        rows.append(
            (
                item.id, item.via, OWN, str(item.id), kind, item.name, item.at, now, True, body, None,
                kinds.KINDS[kind],
            )
        )  # fmt: skip
    await _append(session, rows)


async def _append(session: WriteSession, rows: Sequence[service.Row]) -> None:
    """A preview has no timeline of its own, and nothing is told in it."""
    if rows and not session.info.get(ASIDE):
        await service.append(session, sorted(rows, key=lambda row: str(row[1])))
        await queries.note_told(session, months(rows))


def rows_of(fact: Event, now: datetime) -> Iterator[service.Row]:
    """One row for each side that a fact has."""
    source, noun, verb, _ = fact.subject.split(".")
    kind = kinds.NOUNS.get(noun, noun)
    body = fact.model_dump_json(exclude={"id", "occurred_at"}).encode()
    for number, via in enumerate(owners(fact)):
        row_id = digest_uuid(str(fact.id), str(via)) if number else fact.id
        yield (
            row_id, via, source, str(fact.id), kind, f"{kind}.{verb}", fact.occurred_at, now, True, body, None,
            kinds.KINDS[kind],
        )  # fmt: skip


def owners(fact: Event) -> list[UUID]:
    """The ids under which a fact is filed."""
    named = [getattr(fact, side) for side in SIDES if hasattr(fact, side)]
    said = fact.model_dump(include={"via", "customer"})
    return named or [said["via"] if "via" in said else said["customer"]]


def months(rows: Iterable[service.Row]) -> list[tuple[UUID, datetime]]:
    """(via, first instant of the month), sorted."""
    found = {(row[1], service.month_of(row[service.AT])) for row in rows}
    return [(via, datetime(month.year, month.month, 1, tzinfo=UTC)) for via, month in sorted(found)]


def shown(principal: Principal, source: str, kind: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """A fact's fields, by their marks in its contract; what no contract knows any more is hidden."""
    if masks.sees_all(principal):
        return dict(body)
    contract = _contracts().get((source, kind, name.partition(".")[2]))
    if contract is None:
        return masks.properties(principal, body) if source == OWN else dict.fromkeys(body, masks.HIDDEN)
    return {
        field: _field(principal, contract, field, held)
        for field, held in body.items()
        if _mark(contract, field) != "sensitive" or masks.sees(principal, field)
    }


@functools.cache
def _contracts() -> dict[tuple[str, str, str], type[Event]]:
    found = {}
    for subject, contract in catalogue().items():
        source, noun, verb, _ = subject.split(".")
        found[source, kinds.NOUNS.get(noun, noun), verb] = contract
    return found


def _mark(contract: type[Event], field: str) -> object:
    info = contract.model_fields.get(field)
    extra = info.json_schema_extra if info is not None and isinstance(info.json_schema_extra, dict) else {}
    return extra.get("x-personal")


def _field(principal: Principal, contract: type[Event], field: str, held: Any) -> Any:
    if held is None:
        return None
    match _mark(contract, field):
        case None:
            return held
        case "traits":
            return masks.traits(principal, held)
        case "reference":
            return prose.reference(principal, held)
        case "prose":
            return prose.masked(principal, held)
        case _:
            return prose.private(principal, held)
