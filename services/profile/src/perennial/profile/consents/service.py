"""Writes down what customers agree to or withdraw."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
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
from perennial.profile.timeline import facts as timeline
from perennial.profile.timeline.facts import Told

EVERYWHERE = "*"
GIVEN, WITHDRAWN, EXPIRED = "given", "withdrawn", "expired"


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


class Decision(Protocol):
    """What a customer decides on one purpose and channel, and the text that was shown."""

    @property
    def purpose(self) -> str: ...
    @property
    def channel(self) -> str: ...
    @property
    def granted(self) -> bool: ...
    @property
    def text_locale(self) -> str | None: ...
    @property
    def text_version(self) -> int | None: ...
    @property
    def separate(self) -> bool: ...


async def choose(
    session: WriteSession, via: UUID, choices: Sequence[Decision], at: datetime | None, *, source: str, method: str,
    who: str, evidence: Mapping[str, Any],
) -> None:  # fmt: skip
    """Keep what a customer decided, now or `at` an instant, under the identifier that speaks for it.

    Raises Unprocessable for a purpose, channel or text that there is not, for two decisions on the same thing, and for
    a consent that must be asked for by itself and was not.
    """
    at = at or utc_now()
    known = {row["key"]: row for row in await queries.purposes(session)}
    hashes = await queries.hashes_of(
        session, {_shown(item) for item in choices if item.text_locale and item.text_version}
    )
    seen: set[tuple[str, str]] = set()
    statements = []
    for index, choice in enumerate(choices):
        where = f"/choices/{index}"
        purpose = _purpose(known, choice, where)
        if (choice.purpose, choice.channel) in seen:
            raise Unprocessable(f"{where}: the same was decided before", code="repeated", pointer=where)
        seen.add((choice.purpose, choice.channel))
        text_hash = _hash(hashes, choice, where)
        _check_alone(purpose, choice, text_hash, where)
        days = purpose["valid_days"] if choice.granted else None
        statements.append(
            Statement(
                uuid7(), via, choice.purpose, choice.channel, GIVEN if choice.granted else WITHDRAWN, at,
                purpose["legal_basis"], choice.text_locale, choice.text_version, text_hash, choice.separate,
                at + timedelta(days=days) if days else None, source, method, who, dict(evidence),
            )
        )  # fmt: skip
    await record(session, statements)


async def check(session: ReadSession, choice: Decision) -> None:
    """Raises what `choose` would, for one choice."""
    known = {row["key"]: row for row in await queries.purposes(session)}
    hashes = await queries.hashes_of(session, {_shown(choice)} if choice.text_locale and choice.text_version else set())
    _check_alone(_purpose(known, choice, "consent"), choice, _hash(hashes, choice, "consent"), "consent")


def _check_alone(purpose: RowMapping, choice: Decision, text_hash: str | None, where: str) -> None:
    if choice.granted and purpose["separate"] and not (choice.separate and text_hash):
        raise Unprocessable(
            f"{where}/separate: {choice.purpose} needs a consent of its own, with the text that was shown",
            code="separate_consent_required", pointer=f"{where}/separate",
        )  # fmt: skip


def _shown(choice: Decision) -> queries.Shown:
    return choice.purpose, choice.text_locale, choice.text_version


def _purpose(known: dict[str, RowMapping], choice: Decision, where: str) -> RowMapping:
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


def _hash(hashes: Mapping[queries.Shown, str], choice: Decision, where: str) -> str | None:
    if choice.text_version is None and choice.text_locale is None:
        return None
    found = hashes.get(_shown(choice))
    if found is None:
        raise Unprocessable(
            f"{where}/text_version: there is no such version of the text",
            code="unknown_text", pointer=f"{where}/text_version",
        )  # fmt: skip
    return found


async def told_staff(
    session: WriteSession, any_id: UUID, choices: Sequence[Decision], at: datetime | None, evidence: Mapping[str, Any],
    who: Principal,
) -> UUID:  # fmt: skip
    """What a customer told somebody; returns today's customer.

    It is filed under the id that was named: a split takes it along. Raises NotFound, and what `choose` raises; nothing
    is said ahead of its time.
    """
    customer = await customer_of(session, any_id)
    if at is not None and at > utc_now() + timedelta(minutes=5):
        raise Unprocessable("at: it must not be in the future", code="in_future", pointer="/at")
    await choose(
        session, any_id, choices, at, source="/v1/customers/{id}/consents",
        method="staff" if who.kind == "staff" else "api", who=f"{who.kind}:{who.id}", evidence=evidence,
    )  # fmt: skip
    said = [f"{choice.purpose}/{choice.channel}={choice.granted}" for choice in choices]
    await audit.record(session, who, "consents.recorded", str(customer), {"choices": said})
    return customer


async def put_purpose(
    session: WriteSession, key: str, values: dict[str, Any], seen: int | None, who: Principal
) -> RowMapping:  # fmt: skip
    """Define a purpose. Raises PreconditionFailed when somebody else changed it."""
    await queries.hold(session)
    known = {row["key"]: row["version"] for row in await queries.purposes(session)}
    if key in known:
        match(seen, known[key])
    elif seen not in (None, NEW):
        match(seen, 0)
    await queries.put_purpose(session, key, values)
    await audit.record(session, who, "consent_purpose.written", key)
    return next(row for row in await queries.purposes(session) if row["key"] == key)


async def add_text(
    session: WriteSession, purpose: str, locale: str, title: str, body: str, who: Principal
) -> RowMapping:  # fmt: skip
    """The next version of a text. Raises Unprocessable for a purpose that there is not."""
    await queries.hold(session)
    if purpose not in {row["key"] for row in await queries.purposes(session)}:
        raise Unprocessable(f"purpose: there is no purpose {purpose}", code="unknown_purpose", pointer="/purpose")
    digest = hashlib.sha256(f"{title}\n{body}".encode()).hexdigest()
    row = await queries.add_text(
        session,
        {
            "purpose": purpose, "locale": locale, "title": title, "body": body, "hash": digest,
            "who": f"{who.kind}:{who.id}",
        },
    )  # fmt: skip
    await audit.record(session, who, "consent_text.written", f"{purpose}/{locale}/{row['version']}")
    return row
