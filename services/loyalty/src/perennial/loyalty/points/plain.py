"""Spending where nothing is out of the ordinary: all of a request in one statement, answer and facts with it."""

from datetime import UTC, datetime
from uuid import UUID

import structlog
from asyncpg import UniqueViolationError

from perennial.common import notify
from perennial.common.contracts.base import Event
from perennial.common.contracts.loyalty import Account, AccountsChanged, PointsSpent
from perennial.common.db import Database
from perennial.common.db.locks import lock_key
from perennial.common.events import Encoder
from perennial.common.ids import digest_uuid
from perennial.common.web.idempotency import Once
from perennial.common.web.plain import Asked, Plain
from perennial.loyalty.points.posting import Posting
from perennial.loyalty.points.schemas import PostedOut, SpendIn
from perennial.loyalty.programme import service as programme

log = structlog.get_logger()

_SPEND = f"SELECT spend_plain({', '.join(f'${n}' for n in range(1, 24))})"
# What the statement finds, and writes in their stead; no text that is anybody's own stands before them.
_BALANCE, _STATE = '"balance":0', '"balance":0,"pending":0,"version":0'


async def answer(asked: Asked) -> bytes | None:
    """The answer to a request whose form is plain."""
    body: SpendIn = asked.body
    return await spend(asked.runtime.database, asked.once, posting_of(asked.id, body, asked.once), body.currency)


def posting_of(who: UUID, body: SpendIn, once: Once) -> Posting:
    """The posting of a request to spend, by who spends."""
    return Posting(
        digest_uuid("spend", once.id.hex()), "spend", who, datetime.now(UTC), body.reason, -body.points,
        reference=body.reference,
    )  # fmt: skip


async def spend(database: Database, once: Once, posting: Posting, code: str | None) -> bytes | None:
    """Take points from the customer of an id, by the currency that the body names; the answer, as it is kept.

    None where anything is in the way, whatever it is: nothing has been done then, and the long way finds out.
    """
    rules = programme.remembered()
    if not programme.may_spend(rules, code):
        return None
    currency = programme.code_in(rules, code, spendable=True)
    encode, changed, spent = Encoder(), *_facts(posting, currency)
    (changed_head, changed_body), (spent_head, spent_body) = encode(changed), encode(spent)
    try:
        said: bytes | None = await database.alone(
            _SPEND, lock_key("idempotency", once.id.hex()), once.id, once.fingerprint, posting.id, posting.via,
            rules.version, rules.valid_from, currency, -posting.points, posting.at, posting.reason, posting.reference,
            *_broken(_answer(posting, currency), _BALANCE), changed.id, changed.subject, changed_head,
            *_broken(changed_body.decode(), _STATE), spent.id, spent.subject, spent_head, spent_body.decode(),
        )  # fmt: skip
    except UniqueViolationError:
        return None
    finally:
        database.wake(notify.OUTBOX, notify.STALE)  # also where the answer was lost
    log.debug("points.spent", customer_id=str(posting.via), points=-posting.points, plain=said is not None)
    return said


def _facts(posting: Posting, currency: str) -> tuple[Event, Event]:
    """What is said of it; of the account, the statement finds what is left."""
    return (
        AccountsChanged(accounts=[Account(via=posting.via, currency=currency, balance=0, pending=0, version=0)]),
        PointsSpent(
            posting_id=posting.id, via=posting.via, customer=posting.via, points=-posting.points,
            reason=posting.reason, reference=posting.reference, currency=currency,
        ),
    )  # fmt: skip


def _broken(text: str, found: str) -> tuple[str, str]:
    """What stands before the value of the first member of `found`, and what stands after all of it."""
    before, _, after = text.partition(found)
    return before + _BALANCE[:-1], after


def _answer(posting: Posting, currency: str) -> str:
    return PostedOut(
        posting_id=posting.id, customer_id=posting.via, points=-posting.points, currency=currency, balance=0,
        reason=posting.reason, reference=posting.reference,
    ).model_dump_json()  # fmt: skip


SPEND = Plain("/v1/loyalty/accounts/{customer_id}/spend", "loyalty:write", SpendIn, answer)
