"""What identifiers say of customers, what a shop says of its traits, and what was not taken."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from perennial.profile.models import metadata

# Ties are broken by comparing these, so their order must be the same in Python and in every database.
_Word = Text(collation="C")
_Instant = DateTime(timezone=True)
_now = func.now()

trait = Table(
    "trait",
    metadata,
    Column("via", Uuid, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", JSONB, comment="What the source said last. SQL null: it cleared the trait."),
    Column("at", _Instant, nullable=False),
    Column("source", _Word, primary_key=True),
    Column("message_id", _Word, nullable=False),
    Column("first_value", JSONB, comment="What it said first, unless that is the last as well."),
    Column("first_at", _Instant),
    Column("first_message_id", _Word),
    Column("fits", Boolean, server_default=text("true"), nullable=False, comment="The definition of today takes it."),
)
Table(
    "trait_definition",
    metadata,
    Column("key", _Word, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("revision", Uuid, nullable=False, comment="Another one at every change: caches are compared by it."),
    Column("definition", JSONB, nullable=False),
    Column("strategy", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("sources", ARRAY(Text), nullable=False, comment="The most trusted first."),
    Column("archived", Boolean, server_default=text("false"), nullable=False),
    Column("created_at", _Instant, server_default=_now, nullable=False),
    Column("updated_at", _Instant, server_default=_now, nullable=False),
    Column("updated_by", Text, nullable=False),
    comment="A shop's own traits. strategy, type and sources are the definition's, for SQL.",
)
Table(
    "trait_definition_version",
    metadata,
    Column("key", _Word, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("definition", JSONB, nullable=False),
    Column("archived", Boolean, nullable=False),
    Column("at", _Instant, server_default=_now, nullable=False),
    Column("by", Text, nullable=False),
)
Table(
    "trait_tally",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("key", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("day", Date, nullable=False, comment="Received, UTC."),
    Column("outcome", Text, nullable=False, comment="ok, cleared, or why it was not taken."),
    Column("type", Text, nullable=False, comment="What the values look like."),
    Column("count", BigInteger, nullable=False),
    Column("first_at", _Instant, nullable=False),
    Column("last_at", _Instant, nullable=False),
    Column("examples", ARRAY(Text), server_default=text("'{}'"), nullable=False, comment="Masked."),
    comment="Every batch adds rows, so that none waits for another; a job adds them up.",
)
Table(
    "trait_sweep",
    metadata,
    Column("key", Text, primary_key=True, comment="A trait whose definition changed; empty: all, by another key."),
    Column("version", BigInteger, nullable=False),
    Column("after", Uuid, nullable=False, comment="Identifiers up to it are done."),
    Column("done", Boolean, nullable=False),
)
_edit = Table(
    "trait_edit",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("via", Uuid, nullable=False),
    Column("key", Text, nullable=False),
    Column("value", JSONB, comment="SQL null: cleared, or given back to the sources."),
    Column("before", JSONB, comment="What was shown until then."),
    Column("given_back", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", _Instant, nullable=False),
    comment="What staff wrote by hand, and why.",
)
Index("ix_trait_edit_via_key_id", _edit.c.via, _edit.c.key, _edit.c.id)
