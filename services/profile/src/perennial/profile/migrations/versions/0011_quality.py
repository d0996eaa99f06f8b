"""Data quality: rules, what they found, and measures by day."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from perennial.common.db.migrations import append_only

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_Instant = sa.DateTime(timezone=True)
_Word = sa.Text(collation="C")
_TABLES = (
    "quality_setting",
    "quality_rule",
    "quality_rule_version",
    "quality_baseline",
    "quality_value",
    "quality_finding",
    "quality_trait_day",
    "quality_source_day",
    "quality_intake",
    "quality_gauge",
    "quality_crossing",
)


def upgrade() -> None:
    _rules()
    _found()
    _measures()


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)


def _rules() -> None:
    op.create_table(
        "quality_setting",
        sa.Column("id", sa.Integer(), nullable=False, comment="1: the one row"),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("settings", postgresql.JSONB(), nullable=False),
        sa.Column(
            "revision",
            sa.Uuid(),
            nullable=False,
            comment="Another one when a rule or a baseline changes: caches go by it.",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_quality_setting"),
    )
    op.create_table(
        "quality_rule",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("definition", postgresql.JSONB(), nullable=False),
        sa.Column("archived", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("filled", sa.Uuid(), comment="Of a rule on duplicates: values up to this identifier are indexed."),
        sa.Column(
            "ready", sa.Boolean(), server_default=sa.text("false"), nullable=False, comment="All values are indexed."
        ),
        sa.Column("updated_at", _Instant, server_default=sa.func.now(), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_quality_rule"),
    )
    op.create_table(
        "quality_rule_version",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("definition", postgresql.JSONB(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("at", _Instant, server_default=sa.func.now(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", "version", name="pk_quality_rule_version"),
    )
    op.create_table(
        "quality_baseline",
        sa.Column("rule", sa.Uuid(), nullable=False),
        sa.Column("low", sa.Numeric(), nullable=False, comment="What is below it is an outlier."),
        sa.Column("high", sa.Numeric(), nullable=False),
        sa.Column("centre", sa.Numeric(), nullable=False, comment="The median."),
        sa.Column("spread", sa.Numeric(), nullable=False, comment="Interquartile range, or median absolute deviation."),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("sampled", sa.Boolean(), nullable=False),
        sa.Column("at", _Instant, nullable=False),
        sa.PrimaryKeyConstraint("rule", name="pk_quality_baseline"),
    )
    append_only("quality_rule_version")


def _found() -> None:
    op.create_table(
        "quality_value",
        sa.Column("key", _Word, nullable=False),
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("source", _Word, nullable=False),
        sa.Column("digest", sa.LargeBinary(), comment="Keyed, of the value; null: cleared."),
        sa.Column("at", _Instant, nullable=False),
        sa.Column("message_id", _Word, nullable=False),
        sa.PrimaryKeyConstraint("key", "via", "source", name="pk_quality_value"),
        comment="Values of traits that should be unique, while a rule says so.",
    )
    op.create_table(
        "quality_finding",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("rule", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("key", _Word, nullable=False),
        sa.Column("source", _Word, nullable=False),
        sa.Column("via", sa.Uuid(), nullable=False, comment="Zeros: of a whole source."),
        sa.Column("value", postgresql.JSONB(), comment="What was said, sealed as it would be in trait."),
        sa.Column("taken", postgresql.JSONB(), comment="What was taken instead; null: nothing."),
        sa.Column("at", _Instant, nullable=False, comment="When it was said, by the event."),
        sa.Column("message_id", _Word, nullable=False),
        sa.Column(
            "first",
            postgresql.JSONB(),
            comment="The rest of a stored statement that was taken away: value, at, message_id.",
        ),
        sa.Column("state", sa.Text(), nullable=False, comment="open, released or gone"),
        sa.Column("found_at", _Instant, nullable=False),
        sa.Column("ended_at", _Instant),
        sa.PrimaryKeyConstraint("id", name="pk_quality_finding"),
    )
    op.create_index("ix_quality_value_digest", "quality_value", ["key", "digest"])
    op.create_index("ix_quality_value_via", "quality_value", ["via"])
    op.create_index("uq_quality_finding_place", "quality_finding", ["rule", "via", "key", "source"], unique=True)
    op.create_index("ix_quality_finding_via", "quality_finding", ["via"])


def _measures() -> None:
    op.create_table(
        "quality_trait_day",
        sa.Column("day", sa.Date(), nullable=False, comment="UTC."),
        sa.Column("source", _Word, nullable=False),
        sa.Column("key", _Word, nullable=False),
        sa.Column("customers", sa.BigInteger(), comment="Of the source, as many as were looked at."),
        sa.Column("shown", sa.BigInteger(), comment="Of these, who show the trait."),
        sa.Column("required", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "said", sa.BigInteger(), server_default=sa.text("0"), nullable=False, comment="Values received on the day."
        ),
        sa.Column("accepted", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("held", sa.BigInteger(), comment="Values of the source that were looked at."),
        sa.Column("stale", sa.BigInteger(), comment="Of these, older than the settings' span."),
        sa.Column("median_age", sa.Double(), comment="Seconds."),
        sa.Column("p90_age", sa.Double(), comment="Seconds."),
        sa.Column("unique_of", sa.BigInteger(), comment="Values that should be unique."),
        sa.Column("distinct_values", sa.BigInteger()),
        sa.Column("sampled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("day", "source", "key", name="pk_quality_trait_day"),
    )
    op.create_table(
        "quality_source_day",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("source", _Word, nullable=False),
        sa.Column("measures", postgresql.JSONB(), nullable=False),
        sa.Column("sampled", sa.Boolean(), nullable=False),
        sa.Column("measured_at", _Instant, nullable=False),
        sa.PrimaryKeyConstraint("day", "source", name="pk_quality_source_day"),
    )
    op.create_table(
        "quality_intake",
        sa.Column("source", _Word, nullable=False),
        sa.Column("hour", _Instant, nullable=False, comment="Its first instant; of what is counted by day, the day's."),
        sa.Column("outcome", _Word, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", "hour", "outcome", name="pk_quality_intake"),
        comment="What became of events before they came here, as the gateway and identity have counted it.",
    )
    op.create_table(
        "quality_gauge",
        sa.Column("source", _Word, nullable=False),
        sa.Column("name", _Word, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("at", _Instant, nullable=False),
        sa.PrimaryKeyConstraint("source", "name", name="pk_quality_gauge"),
        comment="How much waits elsewhere, as was said last.",
    )
    op.create_table(
        "quality_crossing",
        sa.Column("rule", sa.Uuid(), nullable=False),
        sa.Column("source", _Word, nullable=False),
        sa.Column("key", _Word, nullable=False),
        sa.Column("crossed", sa.Boolean(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("since", _Instant, nullable=False),
        sa.PrimaryKeyConstraint("rule", "source", "key", name="pk_quality_crossing"),
        comment="On which side of a threshold a measure is.",
    )
