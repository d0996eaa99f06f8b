"""Tags and life-cycle stages."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES = ("tag_definition", "tag_definition_version", "tag_assignment", "customer_tag", "topic", "utterance")
STAGE_TABLES = ("ladder", "lifecycle", "stage_assignment", "customer_stage", "stage_change")
SEQUENCES = ("tag_change_version", "stage_version")


def upgrade() -> None:
    for name in SEQUENCES:
        op.execute(sa.schema.CreateSequence(sa.Sequence(name)))
    _tags()
    _stages()


def downgrade() -> None:
    for table in (*TABLES, *STAGE_TABLES):
        op.drop_table(table)
    for name in SEQUENCES:
        op.execute(sa.schema.DropSequence(sa.Sequence(name)))


def _tags() -> None:
    op.create_table(
        "tag_definition",
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("label", postgresql.JSONB(), nullable=False, comment="By language."),
        sa.Column("about", postgresql.JSONB(), nullable=False, comment="One sentence by language."),
        sa.Column("dimension", sa.Text(), nullable=False, comment="attribute, behaviour, need, value"),
        sa.Column("kind", sa.Text(), nullable=False, comment="manual, imported, rule, computed, words"),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("lasts", sa.BigInteger(), nullable=True, comment="Seconds, for what people and imports give."),
        sa.Column(
            "basis",
            postgresql.JSONB(),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="By kind: what it is derived from.",
        ),
        sa.Column(
            "weights",
            postgresql.JSONB(),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="By stage of the life cycle.",
        ),
        sa.Column("origin", sa.Text(), nullable=False, comment="preset, own"),
        sa.Column("digest", sa.Text(), nullable=True, comment="Of the preset that it was taken from."),
        sa.Column(
            "edited",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="A preset that is the shop's now.",
        ),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("cut", sa.Numeric(), nullable=True, comment="The value from which on a share of all customers lies."),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_tag_definition")),
    )
    op.create_table(
        "tag_definition_version",
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", postgresql.JSONB(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("key", "version", name=op.f("pk_tag_definition_version")),
    )
    op.create_table(
        "tag_assignment",
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False, comment="False: it was taken back."),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("origin", sa.Text(), nullable=False, comment="manual, import"),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("via", "key", name=op.f("pk_tag_assignment")),
        comment="Of all identifiers of a customer the newest says.",
    )
    op.create_table(
        "customer_tag",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False, comment="The rule and its version, or who gave it."),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("score", sa.Numeric(), nullable=True, comment="Of words."),
        sa.PrimaryKeyConstraint("customer_id", "key", name=op.f("pk_customer_tag")),
        comment="Derived.",
    )
    op.create_index("ix_customer_tag_key", "customer_tag", ["key"], unique=False)
    op.create_table(
        "topic",
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("label", postgresql.JSONB(), nullable=False),
        sa.Column("terms", postgresql.JSONB(), nullable=False, comment="By language."),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=True),
        sa.Column("edited", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_topic")),
    )
    op.create_table(
        "utterance",
        sa.Column("id", sa.Uuid(), nullable=False, comment="The event's."),
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="review, search, message"),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column(
            "topics",
            postgresql.JSONB(),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="How many of its words each topic has.",
        ),
        sa.Column("polarity", sa.Numeric(), nullable=True, comment="From -1 to 1; null where no word tells."),
        sa.Column("heard", sa.Boolean(), server_default=sa.text("false"), nullable=False, comment="It was analysed."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_utterance")),
        comment="What a customer said, without the words: those are in the timeline.",
    )
    op.create_index("ix_utterance_unheard", "utterance", ["id"], unique=False, postgresql_where=sa.text("NOT heard"))
    op.create_index("ix_utterance_via", "utterance", ["via", "at"], unique=False)


def _stages() -> None:
    op.create_table(
        "ladder",
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("label", postgresql.JSONB(), nullable=False),
        sa.Column(
            "stages",
            postgresql.JSONB(),
            nullable=False,
            comment="In order; the last one whose rule holds is the customer's.",
        ),
        sa.Column("origin", sa.Text(), nullable=False, comment="preset, own"),
        sa.Column("digest", sa.Text(), nullable=True, comment="Of the preset that it was taken from."),
        sa.Column("edited", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_ladder")),
    )
    op.create_table(
        "lifecycle",
        sa.Column("id", sa.Integer(), nullable=False, comment="1: the one row"),
        sa.Column("ladder", sa.Text(collation="C"), nullable=False, comment="The one in use."),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lifecycle")),
    )
    op.create_table(
        "stage_assignment",
        sa.Column("via", sa.Uuid(), nullable=False),
        sa.Column("ladder", sa.Text(collation="C"), nullable=False),
        sa.Column("stage", sa.Text(), nullable=True, comment="Null: what was set was taken back."),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("via", name=op.f("pk_stage_assignment")),
        comment="Of all identifiers of a customer the newest says.",
    )
    op.create_table(
        "customer_stage",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("ladder", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_customer_stage")),
        comment="Derived.",
    )
    op.create_index("ix_customer_stage_stage", "customer_stage", ["ladder", "stage"], unique=False)
    op.create_table(
        "stage_change",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False, comment="Of stage_version."),
        sa.Column(
            "customer_id", sa.Uuid(), nullable=False, comment="As it was then: an identifier of today's customer."
        ),
        sa.Column("ladder", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stage_change")),
    )
    op.create_index("ix_stage_change_customer", "stage_change", ["customer_id", "id"], unique=False)
