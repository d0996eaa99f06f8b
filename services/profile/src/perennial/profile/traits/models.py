"""What identifiers say of customers: one value per trait."""

from sqlalchemy import Column, DateTime, Index, Table, Text, Uuid, literal_column, text
from sqlalchemy.dialects.postgresql import JSONB

from perennial.profile.models import metadata

# Ties are broken by comparing these, so their order must be the same in Python and in every database.
_Word = Text(collation="C")
_Instant = DateTime(timezone=True)

trait = Table(
    "trait",
    metadata,
    Column("via", Uuid, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", JSONB, comment="SQL null: the trait was cleared."),
    Column("at", _Instant, nullable=False),
    Column("source", _Word, nullable=False),
    Column("message_id", _Word, nullable=False),
)
Index(
    "ix_trait_text",
    literal_column("left(value #>> '{}', 200)").label("words"),
    postgresql_ops={"words": "gin_trgm_ops"},
    postgresql_using="gin",
    postgresql_where=text("jsonb_typeof(value) = 'string'"),
    _table=trait,
)
