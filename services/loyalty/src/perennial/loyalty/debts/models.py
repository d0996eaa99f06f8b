"""What a split left owed, one row for each spending and each identifier whose points it had used."""

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Index, Table, Text, Uuid

from perennial.loyalty.models import metadata

# `via` spent what `lender` had earned. `lot_id`: what the programme gave for it, where it was waived; a merge takes
# that back. It says what was owed at the split: what has been earned since has paid for it, without a trace here.
split_debt = Table(
    "split_debt",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("posting_id", Uuid, nullable=False),
    Column("via", Uuid, nullable=False),
    Column("lender", Uuid, nullable=False),
    Column("currency", Text, nullable=False),
    Column("points", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("lot_id", Uuid),
    Column("decided_by", Text),
    Column("decided_at", DateTime(timezone=True)),
    Column("note", Text),
    CheckConstraint("points > 0", name="points"),
    CheckConstraint("state IN ('debt', 'review', 'waived', 'rejoined')", name="state"),
    CheckConstraint("state <> 'waived' OR lot_id IS NOT NULL", name="lot"),
    Index("ix_split_debt_via", "via"),
    Index("ix_split_debt_lender", "lender"),
    Index("ix_split_debt_at", "at", "id"),
)
