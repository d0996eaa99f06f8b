"""Postings: what makes points move, each named by its cause."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from perennial.common.ids import digest_uuid
from perennial.loyalty.fields import POINTS

Kind = Literal["earn", "activate", "spend", "return", "reverse", "expire", "adjust"]


class Posting(msgspec.Struct, frozen=True):
    """A change of `points` in the balance of `via` and of `pending` in what waits; the rest is the programme's.

    Points are whole units of `currency`: points, growth value, or the smallest unit of stored credit.
    """

    id: UUID
    kind: Kind
    via: UUID
    at: datetime
    reason: str
    points: int = 0
    pending: int = 0
    reference: str | None = None
    lot_id: UUID | None = None
    currency: str = POINTS
    returns: UUID | None = None


class Lot(msgspec.Struct, frozen=True):
    """Points that came together by one posting, to be spent, reversed and expired together."""

    id: UUID
    via: UUID
    points: int
    earned_at: datetime
    active_at: datetime
    expires_at: datetime | None = None
    purchase_id: UUID | None = None
    reversed: int = 0
    expired: int = 0
    state: Literal["pending", "active"] = "active"
    qualifies: bool = True
    currency: str = POINTS

    @property
    def standing(self) -> int:
        """What has neither been reversed nor expired; part of it may have been spent."""
        return self.points - self.reversed - self.expired


def issue(lot: Lot, kind: Kind, reason: str, reference: str | None) -> Posting:
    """The posting that brings a lot."""
    points = lot.points if lot.state == "active" else 0
    return Posting(
        lot.id, kind, lot.via, lot.earned_at, reason, points, lot.points - points, reference, lot.id, lot.currency
    )


def cut(lot: Lot, kind: Literal["reverse", "expire"], points: int, at: datetime, reason: str,
        reference: str | None = None) -> Posting:  # fmt: skip
    """The posting that takes points of a lot away for good; named by how much had been taken so before."""
    before = lot.reversed if kind == "reverse" else lot.expired
    from_balance = points if lot.state == "active" else 0
    return Posting(
        digest_uuid(kind, str(lot.id), str(before)), kind, lot.via, at, reason, -from_balance,
        from_balance - points, reference, lot.id, lot.currency,
    )  # fmt: skip


def give_back(spending: UUID, via: UUID, currency: str, points: int, at: datetime, reason: str,
              reference: str | None = None) -> Posting:  # fmt: skip
    """The posting that gives the points of a spending back, to the identifier that spent them; once."""
    return Posting(
        digest_uuid("return", str(spending)), "return", via, at, reason, points, reference=reference,
        currency=currency, returns=spending,
    )  # fmt: skip


def activate(lot: Lot) -> Posting:
    """The posting that lets pending points be spent."""
    return Posting(
        digest_uuid("activate", str(lot.id)), "activate", lot.via, lot.active_at, "active", lot.standing,
        -lot.standing, lot_id=lot.id, currency=lot.currency,
    )  # fmt: skip
