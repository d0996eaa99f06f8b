"""What earning remembers: events that earned, what capped rules gave, birthdays."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from perennial.loyalty.models import metadata

MOMENT = DateTime(timezone=True)

# An event that was asked about, once: what it was, and what the rules saw of it (`told`). A check-in is one, by day.
activity = Table(
    "activity",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("via", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("at", MOMENT, nullable=False),
    Column("day", Date, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("told", JSONB, nullable=False),
)
Index("ix_activity_via", activity.c.via, activity.c.name, activity.c.day)

# What a capped rule gave for one cause (an order, an activity), by the local day; a refund leaves it as it is.
cap_use = Table(
    "cap_use",
    metadata,
    Column("cause_id", Uuid, primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("via", Uuid, nullable=False),
    Column("currency", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("points", BigInteger, nullable=False),
)
Index("ix_cap_use_via", cap_use.c.via, cap_use.c.rule, cap_use.c.day)

# Month and day as an identifier's traits told them last; null: taken back.
birthday = Table(
    "birthday",
    metadata,
    Column("via", Uuid, primary_key=True),
    Column("day", Text),
    Column("at", MOMENT, nullable=False),
    Column("event_id", Uuid, nullable=False),
)

# What the community made, once per source, kind and key; `via` and `at` are null while only a decision is known of it.
# A decision is of the latest moment told. `rounds`: how often it was rewarded; rules are asked the first time only.
content = Table(
    "content",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("via", Uuid),
    Column("source", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("name", Text),
    Column("at", MOMENT),
    Column("live", Boolean, server_default=text("false"), nullable=False),
    Column("properties", JSONB, server_default=text("'{}'"), nullable=False),
    Column("state", Text, server_default=text("'waiting'"), nullable=False),
    Column("decided_at", MOMENT),
    Column("decided_by", Text),
    Column("note", Text),
    Column("rounds", Integer, server_default=text("0"), nullable=False),
    Column("version", BigInteger, server_default=text("1"), nullable=False),
    CheckConstraint("state IN ('waiting', 'approved', 'rejected', 'removed')", name="state"),
    CheckConstraint("(via IS NULL) = (at IS NULL)", name="told"),
)
Index("ix_content_via", content.c.via, content.c.at)
Index("ix_content_at", content.c.at, content.c.id, postgresql_where=content.c.at.is_not(None))
Index("ix_content_waiting", content.c.at, content.c.id, postgresql_where=content.c.state == "waiting")
