"""What is shown of accounts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from perennial.common.contracts.base import utc_now
from perennial.common.db import ReadSession, settings_of
from perennial.loyalty.accounts import queries
from perennial.loyalty.programme import service as programme
from perennial.loyalty.tiers.shown import Standing, standings

EXPIRING = timedelta(days=30)


@dataclass(frozen=True)
class Wallet:
    """What a customer has of one currency."""

    currency: str
    kind: str
    balance: int
    pending: int


@dataclass(frozen=True)
class Expiring:
    """Points that end on the same day if nobody spends them."""

    currency: str
    points: int
    expires_at: datetime


@dataclass(frozen=True)
class CustomerAccount:
    """A customer's points in the main currency, summed over the identifiers of today, and the wallet of each."""

    customer_id: UUID
    balance: int
    pending: int
    earned: int
    spent: int
    reversed: int
    expired: int
    adjusted: int
    tier: Standing
    currency: str
    wallets: Sequence[Wallet]
    expiring: Sequence[Expiring]


@dataclass(frozen=True)
class Totals:
    """All accounts in a currency together, and how many customers each tier has."""

    currency: str
    accounts: int
    earned: int
    spent: int
    reversed: int
    expired: int
    adjusted: int
    pending: int
    liability: int
    tiers: Mapping[str, int]


async def accounts(session: ReadSession, customers: Sequence[UUID]) -> list[CustomerAccount]:
    """The accounts of customers of today, sorted by id; without any posting they are empty."""
    rules, now = await programme.current(session), utc_now()
    rows = await queries.accounts(session, customers, rules)
    wallets = await queries.wallets(session, customers)
    tiers = await standings(session, customers, now)
    ending = await queries.expiring(session, customers, now, now + EXPIRING, settings_of(session).timezone)
    return [
        CustomerAccount(
            row.customer_id, row.balance, row.pending, row.earned, row.spent, row.reversed, row.expired, row.adjusted,
            tiers[row.customer_id], rules.main.code,
            [
                Wallet(item.code, item.kind, *wallets.get((row.customer_id, item.code), (0, 0)))
                for item in rules.currencies
            ],
            [Expiring(*item) for item in ending.get(row.customer_id, ())],
        )
        for row in rows
    ]  # fmt: skip


async def balance(session: ReadSession, customer: UUID, currency: str) -> int:
    """What a customer can spend of a currency."""
    found, _ = (await queries.wallets(session, [customer])).get((customer, currency), (0, 0))
    return found


async def summary(session: ReadSession, code: str | None = None) -> Totals:
    """All accounts in a currency together; a tier that nobody is in counts 0. Raises Unprocessable."""
    rules = await programme.current(session)
    currency = await programme.code_of(session, code)
    tiers = {tier.name: 0 for tier in rules.tiers} | await queries.tiers(session)
    return Totals(currency, **(await queries.summary(session, currency)), tiers=tiers)
