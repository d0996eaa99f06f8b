"""Writes down what customers agree to or withdraw, and derives what holds."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import RowMapping

from perennial.common import audit, identity_map
from perennial.common.auth import Principal
from perennial.common.contracts.base import utc_now
from perennial.common.contracts.profile import ConsentsChanged, ConsentStatement
from perennial.common.db import ReadSession, WriteSession
from perennial.common.ids import uuid7
from perennial.common.outbox import emit
from perennial.common.problems import NotFound, Unprocessable
from perennial.common.web.etags import NEW, match
from perennial.profile.consents import queries
from perennial.profile.consents.queries import Statement
from perennial.profile.consents.schemas import (
    Choice,
    ConsentText,
    Holding,
    Offer,
    PreferenceCentre,
    Purpose,
    PurposeWrite,
    StaffChoices,
    TextCreate,
    TextShown,
)
from perennial.profile.timeline import facts as timeline
from perennial.profile.timeline.facts import Told

EVERYWHERE = "*"
GIVEN, WITHDRAWN, EXPIRED = "given", "withdrawn", "expired"
LANGUAGE = "en"


async def customer_of(session: ReadSession, any_id: UUID) -> UUID:
    """Today's customer. Raises NotFound."""
    customer = await identity_map.customer_of(session, any_id)
    if customer is None:
        raise NotFound(f"id: there is no customer {any_id}", pointer="path/id")
    return customer


async def record(session: WriteSession, statements: Sequence[Statement]) -> int:
    """Keep statements, each once, and tell who must obey; how many are new."""
    if not statements:
        return 0
    new = await queries.add(session, statements)
    told = [
        ConsentStatement(
            via=item.via, purpose=item.purpose, channel=item.channel, state=item.state, at=item.at,
            expires_at=item.expires_at, version=version_of(item.at, item.state),
        )
        for item in statements
        if item.id in new
    ]  # fmt: skip
    if told:
        await emit(session, ConsentsChanged(statements=told))
        await timeline.tell(session, [_told(item) for item in statements if item.id in new])
    return len(told)


def _told(said: Statement) -> Told:
    about = {"purpose": said.purpose, "channel": said.channel, "legal_basis": said.legal_basis, "method": said.method}
    return Told(said.id, said.via, f"consent.{said.state}", said.at, about)


def version_of(at: datetime, state: str) -> int:
    """Later statements have a higher version, and a withdrawal the highest of its instant."""
    microseconds = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return max(0, 2 * microseconds + (state == WITHDRAWN))


async def choose(
    session: WriteSession, via: UUID, choices: Sequence[Choice], at: datetime, *, source: str, method: str, who: str,
    evidence: dict[str, Any],
) -> None:  # fmt: skip
    """Keep what a customer decided, under the identifier that speaks for it.

    Raises Unprocessable for a purpose, channel or text that there is not, for two decisions on the same thing, and for
    a consent that must be asked for by itself and was not.
    """
    known = {row["key"]: row for row in await queries.purposes(session)}
    seen: set[tuple[str, str]] = set()
    statements = []
    for index, choice in enumerate(choices):
        where = f"/choices/{index}"
        purpose = _purpose(known, choice, where)
        if (choice.purpose, choice.channel) in seen:
            raise Unprocessable(f"{where}: the same was decided before", code="repeated", pointer=where)
        seen.add((choice.purpose, choice.channel))
        text_hash = await _hash(session, choice, where)
        if choice.granted and purpose["separate"] and not (choice.separate and text_hash):
            raise Unprocessable(
                f"{where}/separate: {choice.purpose} needs a consent of its own, with the text that was shown",
                code="separate_consent_required", pointer=f"{where}/separate",
            )  # fmt: skip
        days = purpose["valid_days"] if choice.granted else None
        statements.append(
            Statement(
                uuid7(), via, choice.purpose, choice.channel, GIVEN if choice.granted else WITHDRAWN, at,
                purpose["legal_basis"], choice.text_locale, choice.text_version, text_hash, choice.separate,
                at + timedelta(days=days) if days else None, source, method, who, evidence,
            )
        )  # fmt: skip
    await record(session, statements)


def _purpose(known: dict[str, RowMapping], choice: Choice, where: str) -> RowMapping:
    purpose = known.get(choice.purpose)
    if purpose is None:
        raise Unprocessable(
            f"{where}/purpose: there is no purpose {choice.purpose}", code="unknown_purpose", pointer=f"{where}/purpose"
        )
    if choice.channel != EVERYWHERE and choice.channel not in purpose["channels"]:
        raise Unprocessable(
            f"{where}/channel: {choice.purpose} has no channel {choice.channel}",
            code="unknown_channel", pointer=f"{where}/channel",
        )  # fmt: skip
    return purpose


async def _hash(session: ReadSession, choice: Choice, where: str) -> str | None:
    if choice.text_version is None and choice.text_locale is None:
        return None
    found = None
    if choice.text_version is not None and choice.text_locale is not None:
        found = await queries.hash_of(session, choice.purpose, choice.text_locale, choice.text_version)
    if found is None:
        raise Unprocessable(
            f"{where}/text_version: there is no such version of the text",
            code="unknown_text", pointer=f"{where}/text_version",
        )  # fmt: skip
    return found


async def told_staff(session: WriteSession, any_id: UUID, body: StaffChoices, who: Principal) -> None:
    """What a customer told somebody. Raises NotFound, and what `choose` raises; nothing is said ahead of its time."""
    customer = await customer_of(session, any_id)
    now = utc_now()
    if body.at is not None and body.at > now + timedelta(minutes=5):
        raise Unprocessable("at: it must not be in the future", code="in_future", pointer="/at")
    evidence = body.evidence.model_dump(exclude_none=True)
    method: Literal["staff", "api"] = "staff" if who.kind == "staff" else "api"
    name = f"{who.kind}:{who.id}"
    await choose(
        session, customer, body.choices, body.at or now, source="/v1/customers/{id}/consents", method=method, who=name,
        evidence=evidence,
    )  # fmt: skip
    said = [f"{choice.purpose}/{choice.channel}={choice.granted}" for choice in body.choices]
    await audit.record(session, who, "consents.recorded", str(customer), {"choices": said})


async def holding(session: ReadSession, customer: UUID, now: datetime | None = None) -> list[Holding]:
    """What holds for each purpose and channel of which the customer said anything."""
    now = now or utc_now()
    return [_holding(row, now) for row in await queries.newest(session, customer)]


def _holding(row: RowMapping, now: datetime) -> Holding:
    over = row["state"] == GIVEN and row["expires_at"] is not None and row["expires_at"] <= now
    return Holding(**{**row, "state": EXPIRED if over else row["state"]})


def on_channel(said: Iterable[Holding], purpose: str, channel: str) -> Holding:
    """What holds on one channel: the newer of what was said of it and of all; of one instant what is stricter."""
    found = [item for item in said if item.purpose == purpose and item.channel in {channel, EVERYWHERE}]
    if not found:
        return Holding(purpose=purpose, channel=channel, state=None)
    last = max(found, key=lambda item: (item.at or datetime.min.replace(tzinfo=UTC), item.state != GIVEN))
    return last.model_copy(update={"channel": channel})


async def centre(session: ReadSession, customer: UUID, locale: str) -> PreferenceCentre:
    """The preference centre of a customer."""
    said = await holding(session, customer)
    texts = await queries.current_texts(session)
    return PreferenceCentre(
        items=[_offer(row, said, _in_language(texts, row.key, locale), locale) for row in await purposes(session)]
    )


def _offer(purpose: Purpose, said: Sequence[Holding], shown: TextShown | None, locale: str) -> Offer:
    labels = purpose.labels
    label = labels.get(locale) or labels.get(locale[:2]) or labels.get(LANGUAGE) or next(iter(labels.values()))
    return Offer(
        purpose=purpose.key, label=label, labels=labels, legal_basis=purpose.legal_basis, separate=purpose.separate,
        cross_border=purpose.cross_border, text=shown,
        channels=[on_channel(said, purpose.key, channel) for channel in purpose.channels or [EVERYWHERE]],
    )  # fmt: skip


def _in_language(
    texts: dict[tuple[str, str], RowMapping], purpose: str, locale: str
) -> TextShown | None:  # fmt: skip
    for wanted in (locale, locale[:2], LANGUAGE):
        if (purpose, wanted) in texts:
            row = texts[purpose, wanted]
            return TextShown(**{name: row[name] for name in TextShown.model_fields})
    return None


async def purposes(session: ReadSession) -> list[Purpose]:
    """The purposes, in their order."""
    return [Purpose(**row) for row in await queries.purposes(session)]


async def put_purpose(
    session: WriteSession, key: str, body: PurposeWrite, seen: int | None, who: Principal
) -> Purpose:  # fmt: skip
    """Define a purpose. Raises PreconditionFailed when somebody else changed it."""
    known = {row.key: row for row in await purposes(session)}
    if key in known:
        match(seen, known[key].version)
    elif seen not in (None, NEW):
        match(seen, 0)
    await queries.put_purpose(session, key, body.model_dump())
    await audit.record(session, who, "consent_purpose.written", key)
    return next(row for row in await purposes(session) if row.key == key)


async def add_text(session: WriteSession, body: TextCreate, who: Principal) -> ConsentText:
    """The next version of a text. Raises Unprocessable for a purpose that there is not."""
    if body.purpose not in {row.key for row in await purposes(session)}:
        raise Unprocessable(f"purpose: there is no purpose {body.purpose}", code="unknown_purpose", pointer="/purpose")
    digest = hashlib.sha256(f"{body.title}\n{body.body}".encode()).hexdigest()
    row = await queries.add_text(session, {**body.model_dump(), "hash": digest, "who": f"{who.kind}:{who.id}"})
    await audit.record(session, who, "consent_text.written", f"{body.purpose}/{body.locale}/{row['version']}")
    return ConsentText(**row)
