"""What earning remembers: events that earned, what capped rules gave, birthdays."""

from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Index, Table, Text, Uuid
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
