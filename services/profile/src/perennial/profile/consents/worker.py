"""What is heard of consent: events of its own names, with categories in their context or one purpose in theirs."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid5

from perennial.common.consent import BY_CLIENT, EVENTS, GIVES, PLAIN, WITHDRAWS
from perennial.common.contracts.hot import Body, read_body
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import WriteSession
from perennial.common.imported import EVENT as IMPORTED
from perennial.profile.consents import imported, queries, service
from perennial.profile.consents.queries import Statement

# What consent managers call their categories; a category that bears a purpose's own name is that purpose.
CATEGORIES = {
    "advertising": "marketing", "marketing": "marketing", "targeting": "marketing", "analytics": "analytics",
    "performance": "analytics", "statistics": "analytics", "functional": "personalisation",
    "personalization": "personalisation", "preferences": "personalisation", "datasharing": "third_party_sharing",
    "sale": "third_party_sharing", "dosell": "third_party_sharing",
}  # fmt: skip
NAMES = EVENTS | {IMPORTED}
LONGEST = 400
BY = "client"  # in the evidence: nobody has asked who the sender was; which consents it may give


async def record(session: WriteSession, events: Sequence[ResolvedEvent]) -> None:
    """Keep what events say of consent; a purpose that nobody has defined is passed over.

    So is a consent that must be asked for by itself, where the event does not say so with the text that was shown, or
    where it came by a public key that may not give such consent.
    """
    wanted = [event for event in events if event.name in NAMES]
    if not wanted:
        return
    purposes = {row["key"]: row for row in await queries.purposes(session)}
    said = {
        item.id: item
        for event in wanted
        for item in (imported.said(_row(event), purposes) if event.name == IMPORTED else _said(event, purposes))
    }
    hashes = await queries.hashes_of(
        session, {_shown(item) for item in said.values() if item.text_locale and item.text_version}
    )  # fmt: skip
    statements = [said[key]._replace(text_hash=hashes.get(_shown(said[key]))) for key in sorted(said)]
    await service.record(session, [item for item in statements if _counts(item, purposes)])


def _row(event: ResolvedEvent) -> imported.Row:
    return imported.Row(
        event.id, event.via, event.source, event.message_id, event.timestamp, event.received_at,
        read_body(event.body).properties or {},
    )  # fmt: skip


def _shown(said: Statement) -> tuple[str, str | None, int | None]:
    return said.purpose, said.text_locale, said.text_version


def _counts(said: Statement, purposes: Mapping[str, Any]) -> bool:
    alone = said.separate and said.text_hash is not None and said.evidence.get(BY) != PLAIN
    return said.state == service.WITHDRAWN or alone or not purposes[said.purpose]["separate"]


def _said(event: ResolvedEvent, purposes: Mapping[str, Any]) -> Iterator[Statement]:
    body = read_body(event.body)
    properties = body.properties or {}
    at = min(event.timestamp, event.received_at)  # a clock that is ahead must not outlive a later withdrawal
    for purpose, granted in _choices(event, body, properties):
        row = purposes.get(purpose)
        channel = str(properties.get("channel") or service.EVERYWHERE).lower()
        if row is None or (channel != service.EVERYWHERE and channel not in row["channels"]):
            continue
        version = properties.get("text_version", properties.get("textVersion"))
        days = row["valid_days"] if granted else None
        yield Statement(
            uuid5(event.id, f"{purpose}/{channel}"), event.via, purpose, channel,
            service.GIVEN if granted else service.WITHDRAWN, at, row["legal_basis"],
            _text(properties.get("text_locale", properties.get("textLocale"))),
            version if type(version) is int and 0 < version < 2**31 else None, None,
            properties.get("separate") is True, at + timedelta(days=days) if days else None,
            event.source, "event", "customer", _evidence(event, body),
        )  # fmt: skip


def _choices(event: ResolvedEvent, body: Body, properties: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    if event.name in (GIVES, WITHDRAWS):
        purpose = properties.get("purpose")
        if isinstance(purpose, str):
            yield _named(purpose), event.name == GIVES
        return
    consent = (body.context or {}).get("consent")
    held = consent.get("categoryPreferences") if isinstance(consent, dict) else None
    for category, granted in (held if isinstance(held, dict) else {}).items():
        if isinstance(granted, bool):
            yield _named(category), granted


def _named(category: str) -> str:
    plain = category.strip().lower().replace(" ", "_").replace("-", "_")
    return CATEGORIES.get(plain.replace("_", ""), plain)


def _evidence(event: ResolvedEvent, body: Body) -> dict[str, str]:
    context = body.context or {}
    held = {
        "message_id": event.message_id, "ip": context.get("ip"), "user_agent": context.get("userAgent"),
        BY: context.get(BY_CLIENT),
    }  # fmt: skip
    return {name: value[:LONGEST] for name, value in held.items() if isinstance(value, str)}


def _text(value: object) -> str | None:
    return value[:20] if isinstance(value, str) else None
