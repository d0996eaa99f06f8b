"""The verbs of tags of customers: give, take back, for one or for many; show."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from perennial.common import identity_map, masks
from perennial.common.auth import Principal
from perennial.common.contracts.base import utc_now
from perennial.common.db import ReadSession, WriteSession
from perennial.common.derive import mark
from perennial.common.problems import Unprocessable
from perennial.profile.params import nobody
from perennial.profile.tags.assignments import queries
from perennial.profile.tags.assignments.queries import Said
from perennial.profile.tags.assignments.schemas import BulkGiven, BulkGiving, CustomerTag, CustomerTags, Giving
from perennial.profile.tags.definitions import service as definitions
from perennial.profile.tags.derivation import queries as derived

ORIGINS = {"manual": "manual", "imported": "import"}


async def give(session: WriteSession, who: Principal, any_id: UUID, key: str, body: Giving) -> None:
    """Give one customer a tag. Raises NotFound, Unprocessable for a tag that is derived or a time that is over."""
    definition, customer, now = await _check(session, any_id, key)
    said = Said(key, held=True, at=now, by=definitions.by(who), origin="manual", why=body.why)
    await _say(session, [customer], said, _until(definition, body, now))


async def take_back(session: WriteSession, who: Principal, any_id: UUID, key: str) -> None:
    """Take a tag from a customer; the others' statements under its identifiers stay, but are older."""
    _, customer, now = await _check(session, any_id, key)
    await _say(session, [customer], Said(key, held=False, at=now, by=definitions.by(who), origin="manual"), None)


async def give_many(session: WriteSession, who: Principal, key: str, body: BulkGiving) -> BulkGiven:
    """Give many customers a tag, or take it from them; ids that mean nobody are told. An imported tag is for imports.

    Raises NotFound, Unprocessable for a tag that is derived, or that another origin keeps.
    """
    definition, now = await _givable(session, key), utc_now()
    if ORIGINS[definition.kind] != body.origin:
        raise Unprocessable(
            f"origin: the tag is {definition.kind}, so it is for {ORIGINS[definition.kind]}", code="wrong_origin",
            pointer="/origin",
        )  # fmt: skip
    known = await identity_map.customers_of(session, body.customers)
    said = Said(key, held=body.held, at=now, by=definitions.by(who), origin=body.origin, why=body.why)
    customers = sorted(set(known.values()))
    await _say(session, customers, said, _until(definition, body, now) if body.held else None)
    return BulkGiven(customers=len(customers), unknown=[any_id for any_id in body.customers if any_id not in known])


async def _say(session: WriteSession, customers: Sequence[UUID], said: Said, until: datetime | None) -> None:
    """Under the identifier that the customer is named after: no event spoke for another."""
    said = Said(said.key, said.held, said.at, said.by, said.origin, said.why, until)
    await queries.say(session, customers, said)
    await mark(session, customers, live=said.origin == "manual", settle=said.origin != "manual")


async def _check(session: ReadSession, any_id: UUID, key: str) -> tuple[Row[Any], UUID, datetime]:
    customer = await identity_map.customer_of(session, any_id)
    if customer is None:
        raise nobody(any_id)
    return await _givable(session, key), customer, utc_now()


async def _givable(session: ReadSession, key: str) -> Row[Any]:
    row = await definitions.find(session, key)
    if not row.active:
        raise Unprocessable(f"key: the tag {key!r} is archived", code="archived", pointer="path/key")
    if row.kind not in ORIGINS:
        raise Unprocessable(f"key: the tag {key!r} is derived, by {row.kind}", code="derived_tag", pointer="path/key")
    return row


def _until(definition: Row[Any], body: Giving, now: datetime) -> datetime | None:
    if body.expires_at is not None:
        if body.expires_at <= now:
            raise Unprocessable("expires_at: must lie ahead", code="invalid_request", pointer="/expires_at")
        return body.expires_at
    return None if definition.lasts is None else now + timedelta(seconds=definition.lasts)


async def shown(session: ReadSession, who: Principal, any_id: UUID) -> CustomerTags:
    """The tags that the customer whom an id means today shows. Raises NotFound."""
    customer = await identity_map.customer_of(session, any_id)
    if customer is None:
        raise nobody(any_id)
    rows = await derived.shown(session, customer)
    items = [CustomerTag.model_validate(row._mapping) for row in rows]  # noqa: SLF001 (public API)
    return CustomerTags(
        customer_id=customer,
        stage=await derived.stage(session, customer),
        items=[
            item.model_copy(update={"why": item.why and masks.text(who, item.why), "by": masks.text(who, item.by)})
            for item in items
        ],
    )
