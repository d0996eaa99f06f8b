"""The tables of what became of events."""

from sqlalchemy import BigInteger, Column, DateTime, Identity, Table, Text

from perennial.identity.models import metadata

_Instant = DateTime(timezone=True)

Table(
    "intake_tally",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("source", Text, nullable=False),
    Column("hour", _Instant, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    comment="Every batch adds rows, so that none waits for another; a job adds them up.",
)
Table(
    "intake",
    metadata,
    Column("source", Text, primary_key=True),
    Column("hour", _Instant, primary_key=True),
    Column("outcome", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
)
