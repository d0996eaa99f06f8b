"""Erasures as they are shown: who has answered, and by when copies that age are gone."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import RowMapping

from perennial.common.db import ReadSession
from perennial.common.operations.starting import KEEP
from perennial.common.outbox import KEEP as OUTBOX_KEEPS
from perennial.common.settings import CommonSettings
from perennial.profile.privacy import queries
from perennial.profile.privacy.schemas import Erasure, ErasureDetail, MyErasure, Receipt, Remains
from perennial.profile.privacy.service import SERVICES, unknown

IDEMPOTENCY_KEEPS = timedelta(days=7)
VIOLATIONS_KEEP = timedelta(days=30)


def listed(found: RowMapping) -> Erasure:
    """One of a list."""
    row = dict(found)
    answered = set(row.pop("answered"))
    waits = [name for name in SERVICES if name not in answered] if row["state"] == "running" else []
    return Erasure(**row, waits_for=waits)


async def show(session: ReadSession, erasure_id: UUID, settings: CommonSettings) -> ErasureDetail:
    """An erasure with its receipts. Raises NotFound."""
    found = await queries.one(session, erasure_id)
    if found is None:
        raise unknown(erasure_id)
    answered = {row["service"]: row for row in await queries.receipts(session, erasure_id)}
    services = [_receipt(name, answered.get(name)) for name in SERVICES]
    last = max((row["at"] for row in answered.values()), default=None) if found["completed_at"] else None
    remains = _remains(last, settings) if found["state"] != "refused" else []
    clean = max((item.until for item in remains if item.until), default=None)
    return ErasureDetail(**listed(found).model_dump(), services=services, remains=remains, clean_at=clean)


def _receipt(name: str, row: RowMapping | None) -> Receipt:
    if row is None:
        return Receipt(service=name, state="pending")
    return Receipt(service=name, state="completed", at=row["at"], tables=row["tables"])


def _remains(last: datetime | None, settings: CommonSettings) -> list[Remains]:
    """Copies that nobody deletes one by one, because they age."""
    ages = (
        ("outbox", "facts, after they were published", OUTBOX_KEEPS),
        ("streams", "messages that every service has read", timedelta(days=settings.stream_days)),
        ("idempotency", "answers to requests, for their repetitions", IDEMPOTENCY_KEEPS),
        ("operations", "what staff had done, by ids and figures", KEEP),
        ("violations", "rejected events in which no identifier could be told", VIOLATIONS_KEEP),
        ("logs", "lines of log, which hold ids only", timedelta(days=settings.log_days)),
        ("backups", "copies of the database", timedelta(days=settings.backup_days)),
    )
    return [Remains(where=where, what=what, until=last and last + age) for where, what, age in ages]


async def show_own(session: ReadSession, erasure_id: UUID) -> MyErasure:
    """An erasure as the customer sees it. Raises NotFound."""
    found = await queries.one(session, erasure_id)
    if found is None:
        raise unknown(erasure_id)
    return MyErasure(**{name: found[name] for name in MyErasure.model_fields})
