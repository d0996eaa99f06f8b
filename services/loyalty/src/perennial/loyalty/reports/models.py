"""What reports said when they were last made."""

from sqlalchemy import Column, DateTime, Index, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from perennial.loyalty.models import metadata
from perennial.loyalty.points.models import posting

report = Table(
    "report",
    metadata,
    Column("name", Text, primary_key=True),
    Column("as_of", DateTime(timezone=True), nullable=False),
    Column("rows", JSONB, nullable=False),
)

# Months are read by when they were booked, which is the order in which the rows lie.
Index("ix_posting_recorded_at", posting.c.recorded_at, postgresql_using="brin")
