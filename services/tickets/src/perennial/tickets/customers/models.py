"""Copies of what other services say of a customer; the highest version wins."""

from uuid import UUID

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from perennial.tickets.models import Base


class CustomerTier(Base):
    """Loyalty's tier."""

    __tablename__ = "customer_tier"

    customer_id: Mapped[UUID] = mapped_column(primary_key=True)
    tier: Mapped[str]
    version: Mapped[int] = mapped_column(BigInteger)


class CustomerSegment(Base):
    """A membership; one that ended stays, so that an older word of it is known to be old."""

    __tablename__ = "customer_segment"

    customer_id: Mapped[UUID] = mapped_column(primary_key=True)
    segment_id: Mapped[UUID] = mapped_column(primary_key=True)
    member: Mapped[bool]
    version: Mapped[int] = mapped_column(BigInteger)
