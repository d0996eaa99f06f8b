"""RFM as data: settings, runs, frozen thresholds, standings by run."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.execute(sa.schema.CreateSequence(sa.Sequence("rfm_version")))
    op.create_table(
        "rfm_setting",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_rfm_setting"),
    )
    _scoring()
    _model()
    _standing()
    op.create_table(
        "rfm_touched",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rfm_touched"),
        comment="Who was derived while a run was being computed: the run looks at them again before it serves.",
    )
    op.create_index("ix_rfm_touched_customer_id", "rfm_touched", ["customer_id"])


def _scoring() -> None:
    op.create_table(
        "rfm_scoring",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "state",
            sa.Text(),
            nullable=False,
            comment="wanted, computing, serving (the one that is read), past, failed",
        ),
        sa.Column("cause", sa.Text(), nullable=False, comment="day, change, new, asked or settings"),
        sa.Column("wanted_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("as_of", INSTANT, comment="The moment at which the facts were read and the thresholds frozen."),
        sa.Column("served_at", INSTANT),
        sa.Column("settings_version", sa.Integer()),
        sa.Column("customers", sa.Integer(), comment="With an order in the deployment's currency."),
        sa.Column(
            "version", sa.BigInteger(), comment="The last version of a standing that was drawn before it served."
        ),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_rfm_scoring"),
    )
    for state in ("wanted", "serving"):
        where = sa.text(f"state = '{state}'")
        op.create_index(f"ix_rfm_scoring_{state}", "rfm_scoring", ["state"], unique=True, postgresql_where=where)


def _model() -> None:
    op.create_table(
        "rfm_model",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("customers", sa.Integer(), nullable=False),
        sa.Column("orders", sa.BigInteger(), nullable=False),
        sa.Column("monetary", sa.Numeric(), nullable=False),
        sa.Column(
            "reached", sa.Boolean(), nullable=False,
            comment="A cut counts when reached (fixed bands), else when exceeded."
        ),
        sa.Column(
            "recency", postgresql.ARRAY(INSTANT), nullable=False, comment="The cuts below the scores 2 to 5."
        ),
        sa.Column("frequency", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("monetary_cuts", postgresql.ARRAY(sa.Numeric()), nullable=False),
        sa.Column(
            "high", postgresql.ARRAY(sa.SmallInteger()), nullable=False,
            comment="The least r, f and m that count as high."
        ),
        sa.Column(
            "value", sa.Numeric(), nullable=False, comment="The least monetary value of the high-value quadrants."
        ),
        sa.Column("active_since", INSTANT, nullable=False),
        sa.Column("as_of", INSTANT, nullable=False, comment="From which the clusters count days."),
        sa.Column(
            "scales", postgresql.ARRAY(sa.Double()),
            comment="Means, then deviations, of the logarithms that are clustered.",
        ),
        sa.Column(
            "centers", postgresql.ARRAY(sa.Double()), comment="Five centroids of three coordinates, standardised."
        ),
        sa.Column("cluster_names", postgresql.ARRAY(sa.Text())),
        sa.Column(
            "clusters", postgresql.JSONB(astext_type=sa.Text()), nullable=False,
            comment="The centroids explained, or the reason why there are none.",
        ),
        sa.Column(
            "report", postgresql.JSONB(astext_type=sa.Text()), nullable=False,
            comment="Customers, orders and money by group when it was computed.",
        ),
        sa.ForeignKeyConstraint(["run_id"], ["rfm_scoring.id"], name="fk_rfm_model_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "currency", name="pk_rfm_model"),
    )  # fmt: skip


def _standing() -> None:
    op.create_table(
        "rfm_standing",
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("last_order_at", INSTANT, nullable=False),
        sa.Column("frequency", sa.Integer(), nullable=False),
        sa.Column("monetary", sa.Numeric(), nullable=False),
        sa.Column("r", sa.SmallInteger(), nullable=False),
        sa.Column("f", sa.SmallInteger(), nullable=False),
        sa.Column("m", sa.SmallInteger(), nullable=False),
        sa.Column("group", sa.Text(), nullable=False),
        sa.Column("class", sa.Text(), nullable=False),
        sa.Column("quadrant", sa.Text(), nullable=False),
        sa.Column("cluster", sa.Text()),
        sa.Column(
            "first", postgresql.ARRAY(sa.Text()),
            comment="Group, class, quadrant and cluster as the run found them, where they moved.",
        ),
        sa.Column(
            "late", sa.Boolean(), server_default=sa.text("false"), nullable=False, comment="No customer yet at the run."
        ),
        sa.Column("gone", sa.Boolean(), server_default=sa.text("false"), nullable=False, comment="Since the run."),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "currency", "run_id", name="pk_rfm_standing"),
    )  # fmt: skip
    op.create_index("ix_rfm_standing_run", "rfm_standing", ["run_id", "currency", "group", "customer_id"])


def downgrade() -> None:
    for table in ("rfm_touched", "rfm_standing", "rfm_model", "rfm_scoring", "rfm_setting"):
        op.drop_table(table)
    op.execute(sa.schema.DropSequence(sa.Sequence("rfm_version")))
