"""The tables of identity: identifiers, decisions, and the history of the map.

The map itself is common's `identity_map`, here the master copy. A customer is the row of it where `via = customer_id`;
that row is also the customer's lock.
"""

from sqlalchemy import (
    REAL,
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from perennial.common.db import add_common_tables, new_metadata

metadata: MetaData = new_metadata()
add_common_tables(metadata)

parked = metadata.tables["parked"]
parked.append_column(Column("sealed", LargeBinary, comment="Body, error and trace, encrypted."))
Index("ix_parked_event_id", parked.c.event_id)


def _now(name: str) -> "Column[object]":
    return Column(name, DateTime(timezone=True), server_default=func.now(), nullable=False)


identifier = Table(
    "identifier",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True, comment="Keyed blind index of kind and value."),
    Column("sealed", LargeBinary, nullable=False, comment="The normalised value, encrypted."),
    _now("created_at"),
)

# Partitioned by week, all live partitions probed together, dropped whole; see the functions in the first migration.
decision = Table(
    "decision",
    metadata,
    Column("id", Uuid, primary_key=True, comment="Digest of source and message id."),
    Column("week", Integer, primary_key=True, comment="Weeks since 1970, when it was decided."),
    Column("via", Uuid, nullable=False),
    Column("seq", BigInteger, nullable=False, comment="Sequence in INGEST of the message that was decided."),
    postgresql_partition_by="RANGE (week)",
)

map_change = Table(
    "map_change",
    metadata,
    Column("via", Uuid, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("customer_id", Uuid, nullable=False),
    Column("previous_id", Uuid, comment="Null when the identifier was new."),
    Column("cause", Text, nullable=False, comment="attached, merged, separated, shared, renamed or split"),
    Column("event_id", Uuid),
    Column("through", Uuid, comment="The identifier of the event to which this one was joined."),
    Column("merge_id", Uuid, comment="The merge that moved it or that was undone, or the split."),
    Column("rule", SmallInteger, nullable=False, comment="Version of the policy that decided."),
    _now("at"),
)

merge = Table(
    "merge",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False, comment="auto or manual"),
    Column("survivor", Uuid, nullable=False, index=True),
    Column("merged", Uuid, nullable=False, index=True),
    Column("survivor_vias", ARRAY(Uuid), nullable=False, comment="Both sides as they were before."),
    Column("merged_vias", ARRAY(Uuid), nullable=False),
    Column("evidence", JSONB, nullable=False),
    Column("rule", SmallInteger, nullable=False),
    _now("created_at"),
    Column("undone_at", DateTime(timezone=True)),
    Column("undone_by", Text),
    Column("undone_reason", Text),
    Column("undone_vias", ARRAY(Uuid), comment="The identifiers that were moved back."),
    Column("undone_rest", ARRAY(Uuid), comment="The identifiers from which they were parted."),
)
Index("ix_merge_merged_vias", merge.c.merged_vias, postgresql_using="gin")
Index("ix_merge_undone_vias", merge.c.undone_vias, postgresql_using="gin")

split = Table(
    "split",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("customer_id", Uuid, nullable=False, index=True, comment="Who was split; the side that kept its name."),
    Column("separated", Uuid, nullable=False, index=True, comment="The name of the other side."),
    Column("identifiers", ARRAY(Uuid), nullable=False, comment="The set that was named, and the rest."),
    Column("remaining", ARRAY(Uuid), nullable=False),
    Column("reason", Text, nullable=False),
    Column("rule", SmallInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    _now("created_at"),
    Column("undone_at", DateTime(timezone=True)),
    Column("undone_by", Text),
    Column("undone_reason", Text),
    Column("merge_id", Uuid, comment="The merge by which it was undone."),
)
Index("ix_split_identifiers", split.c.identifiers, postgresql_using="gin")
Index("ix_split_remaining", split.c.remaining, postgresql_using="gin")

separation = Table(
    "separation",
    metadata,
    Column("low", Uuid, primary_key=True, comment="Customers that hold `low` and `high` are not joined by evidence."),
    Column("high", Uuid, primary_key=True, index=True),
    Column(
        "merge_id", Uuid, nullable=False,
        comment="The undone merge, the split or the conflict by which a person has parted them.",
    ),
    _now("created_at"),
)  # fmt: skip

conflict = Table(
    "conflict",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("reason", Text, nullable=False, comment="two_user_ids, limit, separated or approval"),
    Column("kind", Text, nullable=False, comment="The kind of identifier of which there would be too many."),
    Column("via", Uuid, nullable=False, comment="The identifier that was left out."),
    Column("against", Uuid, nullable=False, index=True, comment="The strongest identifier of the event."),
    Column("count", BigInteger, nullable=False),
    Column("evidence", JSONB, nullable=False, comment="The first event."),
    Column("last_event_id", Uuid, nullable=False),
    _now("first_at"),
    _now("last_at"),
    Column("state", Text, server_default="open", nullable=False, comment="open, approved or dismissed"),
    Column("decided_at", DateTime(timezone=True)),
    Column("decided_by", Text),
    Column("decision", Text, comment="Why a person has decided so."),
    Column("merge_id", Uuid),
    UniqueConstraint("via", "against", "reason"),
)

likeness = Table(
    "likeness",
    metadata,
    Column("via", Uuid, primary_key=True),
    Column("field", Text, primary_key=True, comment="A field of the matching model, such as last_name."),
    Column("at", DateTime(timezone=True), nullable=False, comment="When the event that said it happened."),
    Column("sealed", LargeBinary, comment="The normalised value, encrypted; null when it was cleared."),
)

suggestion = Table(
    "suggestion",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("low", Uuid, nullable=False, comment="Two customers, as they were called when the pair was found."),
    Column("high", Uuid, nullable=False, index=True),
    Column("state", Text, nullable=False, comment="pending, approved, rejected or withdrawn"),
    Column("weight", REAL, nullable=False, comment="Bits."),
    Column("probability", REAL, nullable=False),
    Column("fields", JSONB, nullable=False, comment="How the two agree, by field; no values."),
    _now("created_at"),
    _now("seen_at"),
    Column("decided_at", DateTime(timezone=True)),
    Column("decided_by", Text),
    Column("reason", Text),
    Column("merge_id", Uuid),
    UniqueConstraint("low", "high"),
)
Index("ix_suggestion_state", suggestion.c.state, suggestion.c.weight.desc(), suggestion.c.id.desc())

policy = Table(
    "policy",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("definition", JSONB, nullable=False),
    _now("created_at"),
    Column("created_by", Text, nullable=False),
)

met = Table(
    "met",
    metadata,
    Column("via", Uuid, primary_key=True, comment="An identifier that was seen beside a user id not its customer's."),
    Column("user_via", Uuid, primary_key=True),
    _now("at"),
)

shared = Table(
    "shared",
    metadata,
    Column("via", Uuid, primary_key=True, comment="An identifier that belongs to several people: it joins nobody."),
    Column("event_id", Uuid, comment="The event that showed it; null when a person has said so."),
    Column("shared_by", Text),
    Column("reason", Text),
    _now("at"),
)

seen = Table(
    "seen",
    metadata,
    Column("via", Uuid, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("first_at", DateTime(timezone=True), nullable=False, comment="By the events' own time, to the hour."),
    Column("last_at", DateTime(timezone=True), nullable=False),
)
