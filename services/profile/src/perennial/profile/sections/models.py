"""Copies of other services' facts."""

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Table, Text, Uuid, text

from perennial.profile.models import metadata

_Instant = DateTime(timezone=True)

Table(
    "account",
    metadata,
    Column("via", Uuid, primary_key=True),
    Column("balance", BigInteger, nullable=False),
    Column("pending", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("as_of", _Instant, nullable=False),
)
Table(
    "tier",
    metadata,
    Column("customer_id", Uuid, primary_key=True),
    Column("tier", Text, nullable=False),
    Column("since", _Instant, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("as_of", _Instant, nullable=False),
)
Table(
    "membership",
    metadata,
    Column("customer_id", Uuid, primary_key=True),
    Column("segment_id", Uuid, primary_key=True),
    Column("segment_name", Text, nullable=False),
    Column("member", Boolean, nullable=False),
    Column("since", _Instant, nullable=False),
    Column("version", BigInteger, nullable=False),
)
ticket = Table(
    "ticket",
    metadata,
    Column("ticket_id", Uuid, primary_key=True),
    Column("via", Uuid, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
)
Index("ix_ticket_via", ticket.c.via, postgresql_where=text("open"))
Table(
    "outreach",
    metadata,
    Column("via", Uuid, primary_key=True),
    Column("sent", BigInteger, nullable=False),
)
