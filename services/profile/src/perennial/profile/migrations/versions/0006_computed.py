"""Computed traits."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from perennial.profile.computed import standard

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NOW = sa.text("now()")


def upgrade() -> None:
    _definitions()
    _partials()
    op.execute(sa.schema.CreateSequence(sa.Sequence("computed_version")))
    connection = op.get_bind()
    for seed in standard.seeds():
        if seed["digest"]:
            connection.execute(sa.text(standard.SEED_FEED), {name: seed[name] for name in ("digest", "feed")})
        connection.execute(sa.text(standard.SEED), {name: seed[name] for name in ("key", "labels", "spec", "digest")})


def downgrade() -> None:
    op.execute("DROP SEQUENCE computed_version")
    for table in ("computed_partial", "computed_trait", "computed_feed"):
        op.drop_table(table)


def _definitions() -> None:
    op.create_table(
        "computed_feed",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column(
            "spec", postgresql.JSONB(), nullable=False, comment="Which events are counted, and what is kept of them."
        ),
        sa.Column("ready", sa.Boolean(), nullable=False, comment="Everything is counted: events as they come."),
        sa.Column("month", sa.Date(), comment="Later months are counted, and of this one the identifiers up to `via`."),
        sa.Column("via", sa.Uuid()),
        sa.PrimaryKeyConstraint("id", name="pk_computed_feed"),
        sa.UniqueConstraint("digest", name="uq_computed_feed_digest"),
        comment="Several computed traits share what is kept for them.",
    )
    op.create_table(
        "computed_trait",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("labels", postgresql.JSONB(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "state", sa.Text(), nullable=False, comment="building (the version before is served), ready, archived"
        ),
        sa.Column("spec", postgresql.JSONB(), nullable=False),
        sa.Column("feed", sa.Integer(), comment="None: computed from orders."),
        sa.Column("served", postgresql.JSONB(), comment="The spec that customers are shown; none until it is ready."),
        sa.Column("served_feed", sa.Integer()),
        sa.Column("pending", sa.Boolean(), nullable=False, comment="Customers are to be derived again because of it."),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("ready_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("key", name="pk_computed_trait"),
        sa.ForeignKeyConstraint(["feed"], ["computed_feed.id"], name="fk_computed_trait_feed"),
        sa.ForeignKeyConstraint(["served_feed"], ["computed_feed.id"], name="fk_computed_trait_served_feed"),
    )


def _partials() -> None:
    op.create_table(
        "computed_partial",
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("feed", sa.Integer(), nullable=False),
        sa.Column(
            "bucket", sa.DateTime(timezone=True), nullable=False, comment="When its time begins; 1970 for all time."
        ),
        sa.Column(
            "word",
            sa.Text(collation="C"),
            nullable=False,
            comment="A value that is counted, or a currency; else empty.",
        ),
        sa.Column("n", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("total", sa.Numeric()),
        sa.Column("low", sa.Numeric()),
        sa.Column("high", sa.Numeric()),
        sa.Column("first_at", sa.DateTime(timezone=True)),
        sa.Column("last_at", sa.DateTime(timezone=True)),
        sa.Column("first_id", sa.Uuid()),
        sa.Column("first_value", postgresql.JSONB()),
        sa.Column("last_id", sa.Uuid()),
        sa.Column("last_value", postgresql.JSONB()),
        sa.Column(
            "spans",
            postgresql.INT8MULTIRANGE(),
            comment="Microseconds of the epoch, each event reaching as far as the gap.",
        ),
        sa.PrimaryKeyConstraint("via", "feed", "bucket", "word", name="pk_computed_partial"),
    )
