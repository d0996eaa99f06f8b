"""API keys that rotate, staff accounts and sessions, fields of roles, issuers of customer tokens."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _keys()
    _staff()
    _issuers()


def downgrade() -> None:
    for table in ("token_issuer", "role_fields", "staff_attempt", "staff_session", "staff_account"):
        op.drop_table(table)
    op.drop_constraint("ck_api_key_rate_limit", "api_key")
    op.drop_constraint("uq_api_key_previous_digest", "api_key")
    for column in ("rate_limit", "fields", "previous_until", "previous_digest"):
        op.drop_column("api_key", column)


def _keys() -> None:
    op.add_column("api_key", sa.Column("previous_digest", sa.LargeBinary(), nullable=True))
    op.add_column("api_key", sa.Column("previous_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("api_key", sa.Column("fields", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False))
    op.add_column("api_key", sa.Column("rate_limit", sa.Integer(), nullable=True))
    op.create_unique_constraint("uq_api_key_previous_digest", "api_key", ["previous_digest"])
    op.create_check_constraint("ck_api_key_rate_limit", "api_key", "rate_limit >= 1")


def _staff() -> None:
    op.create_table(
        "staff_account",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("disabled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("must_change", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("password_set_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_login_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_staff_account"),
        sa.UniqueConstraint("email", name="uq_staff_account_email"),
    )
    op.create_table(
        "staff_session",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["staff_account.id"], name="fk_staff_session_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_staff_session"),
        sa.UniqueConstraint("digest", name="uq_staff_session_digest"),
    )
    op.create_index(
        "ix_staff_session_live", "staff_session", ["account_id"], postgresql_where=sa.text("revoked_at IS NULL")
    )
    op.create_index("ix_staff_session_expires_at", "staff_session", ["expires_at"])
    op.create_table(
        "staff_attempt",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_staff_attempt"),
    )
    op.create_table(
        "role_fields",
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("fields", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("role", name="pk_role_fields"),
    )


def _issuers() -> None:
    op.create_table(
        "token_issuer",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("jwks_url", sa.Text(), nullable=True),
        sa.Column("jwks", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("claim", sa.Text(), nullable=False),
        sa.Column("identifier_kind", sa.Text(), nullable=False),
        sa.Column("algorithms", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("max_age_seconds", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("(jwks_url IS NULL) <> (jwks IS NULL)", name="ck_token_issuer_keys"),
        sa.PrimaryKeyConstraint("id", name="pk_token_issuer"),
        sa.UniqueConstraint("issuer", name="uq_token_issuer_issuer"),
    )
