"""What holds of all that a customer said, and the preference centre made of it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import RowMapping

from perennial.common.db import ReadSession
from perennial.profile.consents import queries
from perennial.profile.consents.schemas import Holding, Offer, PreferenceCentre, Purpose, TextShown
from perennial.profile.consents.service import EVERYWHERE, EXPIRED, GIVEN

LANGUAGE = "en"


async def holding(session: ReadSession, customer: UUID, now: datetime | None = None) -> list[Holding]:
    """What holds for each purpose and channel of which the customer said anything."""
    now = now or datetime.now(UTC)
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
