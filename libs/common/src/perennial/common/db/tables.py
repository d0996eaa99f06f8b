"""The tables of every schema: outbox, inbox, parked, identity_map, idempotency, timer, stale, audit, job, erasures."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
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
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from perennial.common.db.naming import NAMING


def new_metadata() -> MetaData:
    """Metadata without a schema: the role's search_path decides."""
    return MetaData(naming_convention=NAMING)


def _now(name: str) -> "Column[object]":
    return Column(name, DateTime(timezone=True), server_default=func.now(), nullable=False)


def add_common_tables(metadata: MetaData) -> None:
    """Add the shared tables to a service's metadata."""
    _messaging_tables(metadata)
    _customer_tables(metadata)
    _request_tables(metadata)
    add_job_table(metadata)
    add_privacy_tables(metadata)


def add_privacy_tables(metadata: MetaData) -> None:
    """Tables `erased` (whom to know nothing of any more) and `erasure` (how far forgetting has come)."""
    Table(
        "erased",
        metadata,
        Column("via", Uuid, primary_key=True, comment="Nothing that was said under it is written any more."),
        Column("at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    )
    erasure = Table(
        "erasure",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("customer_id", Uuid, nullable=False),
        Column("vias", ARRAY(Uuid), nullable=False),
        Column("digests", ARRAY(LargeBinary), nullable=False, comment="Blind indexes; emptied at the end."),
        Column("at", DateTime(timezone=True), nullable=False, comment="What is older than this is forgotten."),
        Column("state", Text, server_default=text("'erasing'"), nullable=False, comment="erasing, settling or done"),
        Column("position", BigInteger, server_default=text("0"), nullable=False, comment="Of the table in hand."),
        Column("after", Text, comment="The key up to which a table without an index was read."),
        Column("counts", JSONB, server_default=text("'{}'"), nullable=False, comment="Rows by table."),
        Column("next_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
        Column("failure", Text, comment="Of the last step, where it failed."),
        Column("finished_at", DateTime(timezone=True)),
    )
    Index("ix_erasure_next_at", erasure.c.next_at, postgresql_where=text("state <> 'done'"))


def add_job_table(metadata: MetaData) -> None:
    """Table `job`: when each job ran last, so that a start of a worker is no reason to run it."""
    Table(
        "job",
        metadata,
        Column("name", Text, primary_key=True),
        Column("began_at", DateTime(timezone=True), nullable=False),
        Column("ended_at", DateTime(timezone=True), comment="By success or failure; not where the process died."),
        Column("succeeded_at", DateTime(timezone=True)),
        Column("tries", Integer, nullable=False, comment="Begun since it last succeeded."),
    )


def _messaging_tables(metadata: MetaData) -> None:
    outbox = Table(
        "outbox",
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("event_id", Uuid, nullable=False),
        Column("subject", Text, nullable=False),
        Column("headers", JSONB, nullable=False),
        Column("body", LargeBinary, nullable=False),
        _now("created_at"),
        Column("published_at", DateTime(timezone=True)),
    )
    Index("ix_outbox_unpublished", outbox.c.id, postgresql_where=outbox.c.published_at.is_(None))
    Index("ix_outbox_published_at", outbox.c.published_at, postgresql_using="brin")
    inbox = Table("inbox", metadata, Column("event_id", Uuid, primary_key=True), _now("at"))
    Index("ix_inbox_at", inbox.c.at, postgresql_using="brin")
    Table(
        "parked",
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("stream", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("event_id", Uuid),
        Column("headers", JSONB, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("error", Text, nullable=False),
        Column("trace", Text, nullable=False),
        _now("parked_at"),
        Column("replayed_at", DateTime(timezone=True)),
    )


def _customer_tables(metadata: MetaData) -> None:
    identity_map = Table(
        "identity_map",
        metadata,
        Column("via", Uuid, primary_key=True),
        Column("customer_id", Uuid, nullable=False, index=True),
        Column("version", BigInteger, nullable=False),
        Column("kind", Text),
        Column("digest", LargeBinary),
    )
    Index(
        "ix_identity_map_canonical",
        identity_map.c.via,
        postgresql_where=identity_map.c.via == identity_map.c.customer_id,
    )
    Index("ix_identity_map_digest", identity_map.c.digest, postgresql_where=identity_map.c.digest.is_not(None))
    timer = Table(
        "timer",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("due_at", DateTime(timezone=True), nullable=False, index=True),
        Column("partition", SmallInteger),
        Column("payload", JSONB, nullable=False),
    )
    timer.append_constraint(UniqueConstraint("kind", "key"))
    Table(
        "stale",
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("customer_id", Uuid, nullable=False),
        Column("live", Boolean, nullable=False),
        Column("at", DateTime(timezone=True), server_default=func.now(), nullable=False, index=True),
    )


def _request_tables(metadata: MetaData) -> None:
    Table(
        "idempotency",
        metadata,
        Column("id", LargeBinary, primary_key=True),
        Column("fingerprint", LargeBinary, nullable=False),
        Column("status", Integer, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("created_at", DateTime(timezone=True), server_default=func.now(), nullable=False, index=True),
    )
    audit = Table(
        "audit",
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        _now("at"),
        Column("principal", Text, nullable=False),
        Column("action", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("detail", JSONB, nullable=False),
        Column("previous", LargeBinary, nullable=False),
        Column("digest", LargeBinary, nullable=False),
    )
    Index("ix_audit_at", audit.c.at, postgresql_using="brin")
    Index("ix_audit_subject_id", audit.c.subject, audit.c.id)
