"""One row for each customer of today, for lists, searches and whoever decides by what a customer is.

Derived: traits in the transaction that changed them, all else behind the marks of `common.derive`.
"""

from sqlalchemy import BigInteger, Column, DateTime, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from perennial.profile.models import metadata

_Instant = DateTime(timezone=True)
_nothing = text("'{}'")

customer = Table(
    "customer",
    metadata,
    Column("customer_id", Uuid, primary_key=True),
    Column("traits", JSONB, server_default=_nothing, nullable=False, comment="What the customer shows for each key."),
    Column("computed", JSONB, server_default=_nothing, nullable=False, comment="Computed traits by key."),
    Column("tags", ARRAY(Text), server_default=_nothing, nullable=False),
    Column("stage", Text, comment="Of the life cycle."),
    Column("first_seen", _Instant),
    Column("last_seen", _Instant),
    Column("events", BigInteger, server_default=text("0"), nullable=False),
    Column("traits_at", _Instant, comment="When the traits were derived."),
    Column("as_of", _Instant, comment="When all else was."),
)
