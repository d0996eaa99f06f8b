"""Spending where nothing is out of the ordinary: all of a request in one statement, answer and facts with it."""

import json
from collections.abc import Mapping
from typing import Any

import structlog
from asyncpg import UniqueViolationError

from perennial.common import notify
from perennial.common.contracts.base import Event
from perennial.common.contracts.loyalty import AccountsChanged, PointsSpent
from perennial.common.db import Database
from perennial.common.db.locks import lock_key
from perennial.common.events import Encoder
from perennial.common.web.idempotency import Once
from perennial.loyalty.points.posting import Posting
from perennial.loyalty.programme import service as programme

log = structlog.get_logger()

_SPEND = "SELECT spend_once($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)"


async def spend(database: Database, once: Once, posting: Posting, code: str | None) -> bytes | None:
    """Take points from the customer of an id, by the currency that the body names; the answer, as it is kept.

    None where anything is in the way, whatever it is: nothing has been done then, and the long way finds out. That is
    the way of every request whose principal is a customer, too: its key is looked for under all identifiers.
    """
    rules = programme.remembered()
    if once.via is not None or not programme.may_spend(rules, code):
        return None
    currency = programme.code_in(rules, code, spendable=True)
    said = _facts(posting, currency)
    encoded = [Encoder()(event) for event in said]
    try:
        answer: bytes | None = await database.alone(
            _SPEND, lock_key("idempotency", once.id.hex()), once.id, once.fingerprint, posting.id, posting.via,
            rules.version, rules.valid_from, currency, -posting.points, posting.at, posting.reason, posting.reference,
            _answer(posting, currency), [event.id for event in said], [event.subject for event in said],
            [head for head, _ in encoded], *(body.decode() for _, body in encoded),
        )  # fmt: skip
    except UniqueViolationError:
        return None
    finally:
        database.wake(notify.OUTBOX, notify.STALE)  # also where the answer was lost
    log.debug("points.spent", customer_id=str(posting.via), points=-posting.points, plain=answer is not None)
    return answer


def _facts(posting: Posting, currency: str) -> tuple[Event, Event]:
    """What is said of it, but for what the statement finds: the accounts, and who the customer is."""
    return (
        AccountsChanged(accounts=[]),
        PointsSpent(
            posting_id=posting.id, via=posting.via, customer=posting.via, points=-posting.points,
            reason=posting.reason, reference=posting.reference, currency=currency,
        ),
    )  # fmt: skip


def _answer(posting: Posting, currency: str) -> str:
    known: Mapping[str, Any] = {
        "posting_id": str(posting.id), "points": -posting.points, "currency": currency, "reason": posting.reason,
        "reference": posting.reference,
    }  # fmt: skip
    return json.dumps(known)
