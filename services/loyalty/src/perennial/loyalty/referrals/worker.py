"""What events say of referrals: a code that came with them, and what tells one person from another.

`Referral Clicked` (`code`), `Signed Up` and `Order Completed` (`referral_code`) are touches. Of these events devices,
phones, addresses and means of payment are kept as keyed digests, to be compared and never read.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from perennial.common import commerce, derive
from perennial.common.contracts.hot import Body, read_body
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import WriteSession, settings_of
from perennial.common.identifiers import BLOCKED, blind_index, normalise
from perennial.loyalty.referrals import codes, guards, service
from perennial.loyalty.referrals.course import Signal, Touch

CLICKED, SIGNED_UP = "Referral Clicked", "Signed Up"
KINDS = {CLICKED: "clicked", SIGNED_UP: "signed_up", commerce.ORDER_COMPLETED: "ordered"}
NAMES = frozenset(KINDS)
ADDRESS = ("street", "line1", "address1", "street2", "line2", "address2", "postal_code", "postalCode", "zip", "city")
PAYMENT = ("payment_hash", "payment_fingerprint", "card_fingerprint")
SHORTEST = 4
LONGEST = 500


async def hear(session: WriteSession, events: list[ResolvedEvent]) -> None:
    """Keep the codes that came with events, and what tells one person from another."""
    if not await service.is_on(session):
        return
    settings = settings_of(session)
    key = guards.key_of(settings)
    told = list(signals(events, key, settings.region)) if key else []
    new = await service.hear(session, list(touches(events)), told)
    await derive.mark_events(session, [event for event in events if event.via in new])


def touches(events: Iterable[ResolvedEvent]) -> Iterator[Touch]:
    """The codes that came with events."""
    for event in events:
        if event.name in NAMES:
            said = read_body(event.body).properties or {}
            named = ("code", "referral_code") if event.name == CLICKED else ("referral_code",)
            code = next((code for name in named if (code := codes.plain(said.get(name)))), None)
            if code:
                yield Touch(event.id, event.via, code, KINDS[event.name], event.timestamp)


def signals(events: Iterable[ResolvedEvent], key: bytes, region: str) -> Iterator[Signal]:
    """What events tell of devices, phones, addresses and means of payment."""
    for event in events:
        if event.name in NAMES:
            for kind, value in set(_told(read_body(event.body), region)):
                yield Signal(event.via, kind, blind_index(key, kind, value), event.timestamp)


def _told(body: Body, region: str) -> Iterator[tuple[str, str]]:
    said, context = body.properties or {}, body.context or {}
    address = _within(said, "shipping_address", "shippingAddress")
    for device in (_within(context, "device").get("id"), said.get("device_id")):
        if word := _word(device):
            yield "device", word
    for phone in (said.get("phone"), address.get("phone"), _within(context, "traits").get("phone")):
        if isinstance(phone, str) and (number := normalise("phone", phone, region)):
            yield "phone", number
    parts = [_word(address.get(name)) for name in ADDRESS]
    where = "".join(filter(str.isalnum, "".join(parts).casefold()))
    if len(where) >= SHORTEST and parts[0] + parts[1] + parts[2]:
        yield "address", where
    for value in (*(said.get(name) for name in PAYMENT), _within(said, "payment").get("fingerprint")):
        if word := _word(value):
            yield "payment", word


def _within(said: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    return next((found for name in names if isinstance(found := said.get(name), Mapping)), {})


def _word(value: object) -> str:
    """A text that can tell somebody; none for what is too short to, too long to be one, or what many say (zeros)."""
    found = value.strip() if isinstance(value, str) else ""
    return found if SHORTEST <= len(found) <= LONGEST and not BLOCKED.match(found) else ""
