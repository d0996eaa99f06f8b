"""Channels, journeys, enrolments, messages, and what journeys read."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from perennial.common.db.migrations import append_only, create_common_tables, drop_common_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# What rules read (perennial.common.rules.facts): a row is a member. The table remembers who is none, for its version.
MEMBERSHIP = "CREATE VIEW membership AS SELECT segment_id, customer_id FROM segment_membership WHERE member"


def upgrade() -> None:
    create_common_tables()
    _facts()
    _journeys()
    _enrolments()
    _messages()
    append_only("journey_version")


def _facts() -> None:
    op.create_table(
        "event",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("properties", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    op.create_index(op.f("ix_event_name_at"), "event", ["name", "at"], unique=False)
    op.create_index(op.f("ix_event_via_name_at"), "event", ["via", "name", "at"], unique=False)
    op.create_table(
        "interest",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kept_for", sa.Interval(), nullable=True, comment="Null: for ever."),
        sa.Column("exits", sa.Boolean(), nullable=False, comment="Whether some journey ends by it."),
        sa.Column(
            "since", sa.DateTime(timezone=True), nullable=False, comment="Older events of that name were not kept."
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_interest")),
        comment="The events that journeys read, and for how long; made anew whenever a journey is published or archived.",  # noqa: E501
    )
    op.create_table(
        "segment_membership",
        sa.Column("segment_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("member", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("segment_id", "customer_id", name=op.f("pk_segment_membership")),
    )
    op.create_index("ix_segment_membership_customer_id", "segment_membership", ["customer_id"], unique=False)
    op.create_table(
        "trait",
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("via", "key", name=op.f("pk_trait")),
    )
    op.create_index(op.f("ix_trait_key"), "trait", ["key"], unique=False)
    op.execute(MEMBERSHIP)


def _journeys() -> None:
    op.create_table(
        "journey",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("definition", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("published_version", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journey")),
    )
    op.create_table(
        "journey_version",
        sa.Column("journey_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("definition", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("trigger_event", sa.Text(), nullable=True),
        sa.Column("trigger_segment", sa.Uuid(), nullable=True),
        sa.Column("exit_events", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("published_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["journey_id"], ["journey.id"], name=op.f("fk_journey_version_journey_id")),
        sa.PrimaryKeyConstraint("journey_id", "version", name=op.f("pk_journey_version")),
    )
    op.create_index(op.f("ix_journey_version_trigger_event"), "journey_version", ["trigger_event"], unique=False)
    op.create_index(op.f("ix_journey_version_trigger_segment"), "journey_version", ["trigger_segment"], unique=False)


def _enrolments() -> None:
    op.create_table(
        "enrolment_step",
        sa.Column("enrolment_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("enrolment_id", "step", name=op.f("pk_enrolment_step")),
    )
    op.create_table(
        "refused_entry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("journey_id", sa.Uuid(), nullable=False),
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refused_entry")),
    )
    op.create_index(op.f("ix_refused_entry_at"), "refused_entry", ["at"], unique=False)
    op.create_index(op.f("ix_refused_entry_journey_id_at"), "refused_entry", ["journey_id", "at"], unique=False)
    op.create_index(op.f("ix_refused_entry_via"), "refused_entry", ["via"], unique=False)
    op.create_table(
        "enrolment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("journey_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False, comment="The customer when it began."),
        sa.Column("cause", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("cause_id", sa.Uuid(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("ended_by", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.ForeignKeyConstraint(
            ["journey_id", "version"],
            ["journey_version.journey_id", "journey_version.version"],
            name=op.f("fk_enrolment_journey_id_version"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrolment")),
    )
    op.create_index("ix_enrolment_journey_id_id", "enrolment", ["journey_id", "id"], unique=False)
    op.create_index(
        "ix_enrolment_open", "enrolment", ["via"], unique=False, postgresql_where=sa.text("ended_at IS NULL")
    )
    op.create_index("ix_enrolment_via", "enrolment", ["via"], unique=False)
    op.create_index("uq_enrolment_cause", "enrolment", ["journey_id", "via", "cause_id"], unique=True)


def _messages() -> None:
    op.create_table(
        "channel",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column(
            "unsubscribe", sa.Text(), nullable=True, comment="An https: or mailto: address for List-Unsubscribe."
        ),
        sa.Column("cap", sa.Integer(), nullable=True, comment="Messages per customer in cap_window; null: no limit."),
        sa.Column("cap_window", sa.Interval(), nullable=False),
        sa.Column("quiet_from", sa.Time(), nullable=True),
        sa.Column("quiet_until", sa.Time(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_channel")),
    )
    op.create_table(
        "message",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("enrolment_id", sa.Uuid(), nullable=False),
        sa.Column("journey_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False, comment="The customer when it was decided."),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("provider_id", sa.Text(), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
    )
    op.create_index(
        "ix_message_approved",
        "message",
        ["channel", "approved_at"],
        unique=False,
        postgresql_where=sa.text("status = 'queued' AND approved_at IS NOT NULL"),
    )
    op.create_index(op.f("ix_message_enrolment_id_step"), "message", ["enrolment_id", "step"], unique=True)
    op.create_index("ix_message_journey_id_id", "message", ["journey_id", "id"], unique=False)
    op.create_index(
        "ix_message_taken",
        "message",
        ["via", "channel"],
        unique=False,
        postgresql_where=sa.text("status = 'sent' OR status = 'queued'"),
    )
    op.create_index("ix_message_via_id", "message", ["via", "id"], unique=False)


def downgrade() -> None:
    op.execute("DROP VIEW membership")
    for table in (
        "message",
        "channel",
        "enrolment_step",
        "refused_entry",
        "enrolment",
        "journey_version",
        "journey",
        "interest",
        "segment_membership",
        "trait",
        "event",
    ):
        op.drop_table(table)
    drop_common_tables()
