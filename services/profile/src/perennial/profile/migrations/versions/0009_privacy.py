"""Consent and erasure."""

import json

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from perennial.common.db.migrations import append_only
from perennial.common.privacy import create_privacy_tables, drop_privacy_tables, erasable

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ERASE_EVENTS = """
    DELETE FROM event WHERE via = ANY(p_vias) AND id = ANY(ARRAY(
        SELECT id FROM event WHERE via = ANY(p_vias) LIMIT p_n))"""
ERASE_CONSENTS = """
    DELETE FROM consent WHERE id = ANY(ARRAY(SELECT id FROM consent WHERE via = ANY(p_vias) LIMIT p_n))"""
REACHES = ["email", "sms", "push", "wechat", "phone", "post"]
# key, labels, channels, separate, cross_border
PURPOSES: tuple[tuple[str, dict[str, str], list[str], bool, bool], ...] = (
    ("marketing", {"en": "News and offers", "zh": "营销信息与优惠"}, REACHES, False, False),
    ("analytics", {"en": "Statistics of how shops and apps are used", "zh": "使用情况统计分析"}, [], False, False),
    ("personalisation", {"en": "Content chosen for me", "zh": "个性化推荐"}, [], False, False),
    ("profiling", {"en": "Decisions made by machines alone", "zh": "自动化决策"}, [], True, False),
    ("sensitive_data", {"en": "Use of sensitive data", "zh": "处理敏感个人信息"}, [], True, False),
    ("cross_border", {"en": "Data leave the country", "zh": "个人信息出境"}, [], True, True),
    ("third_party_sharing", {"en": "Data are passed to partners", "zh": "向第三方提供个人信息"}, [], True, False),
    ("public_disclosure", {"en": "Data are made public", "zh": "公开个人信息"}, [], True, False),
)


def _instant(
    name: str, *, nullable: bool = False, now: bool = False, comment: str | None = None
) -> "sa.Column[object]":
    default = sa.text("now()") if now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable, comment=comment)


def _text(name: str, *, nullable: bool = False, comment: str | None = None) -> "sa.Column[str]":
    return sa.Column(name, sa.Text(), nullable=nullable, comment=comment)


def _json(name: str, comment: str | None = None) -> "sa.Column[object]":
    return sa.Column(name, postgresql.JSONB(), nullable=False, comment=comment)


def _flag(name: str, comment: str) -> "sa.Column[bool]":
    return sa.Column(name, sa.Boolean(), nullable=False, comment=comment)


def upgrade() -> None:
    create_privacy_tables()
    _erasures()
    _purposes()
    _consents()
    append_only("consent", "consent_text")
    erasable("erase_events", ERASE_EVENTS)
    erasable("erase_consents", ERASE_CONSENTS)
    _seed()


def downgrade() -> None:
    for function in ("erase_events", "erase_consents"):
        op.execute(f"DROP FUNCTION {function}(uuid[], integer)")
    for table in ("consent", "consent_text", "consent_purpose", "erasure_receipt", "erasure_request"):
        op.drop_table(table)
    drop_privacy_tables()


def _erasures() -> None:
    op.create_table(
        "erasure_request",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "customer_id",
            sa.Uuid(),
            nullable=False,
            comment="Who it was when somebody asked; a name of nobody afterwards.",
        ),
        _text("state", comment="waiting, held, running, completed or refused"),
        _text("reason", comment="One of a few words: nothing here tells of the person."),
        _instant("held_until", nullable=True, comment="A legal hold: not before this."),
        _text("hold_reason", nullable=True),
        _text("requested_by"),
        _instant("requested_at", now=True),
        _text("decided_by", nullable=True),
        _instant("decided_at", nullable=True),
        _text("refusal", nullable=True),
        _instant("completed_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_erasure_request"),
    )
    op.create_index(
        "uq_erasure_request_open", "erasure_request", ["customer_id"], unique=True,
        postgresql_where=sa.text("state IN ('waiting', 'held', 'running')"),
    )  # fmt: skip
    op.create_index(
        "ix_erasure_request_held", "erasure_request", ["held_until"], postgresql_where=sa.text("state = 'held'")
    )
    op.create_table(
        "erasure_receipt",
        sa.Column("erasure_id", sa.Uuid(), nullable=False),
        _text("service"),
        _instant("at"),
        _json("tables"),
        sa.ForeignKeyConstraint(
            ["erasure_id"], ["erasure_request.id"], name="fk_erasure_receipt_erasure_id"
        ),
        sa.PrimaryKeyConstraint("erasure_id", "service", name="pk_erasure_receipt"),
    )  # fmt: skip


def _purposes() -> None:
    op.create_table(
        "consent_purpose",
        _text("key"),
        sa.Column("position", sa.Integer(), nullable=False, comment="In the preference centre."),
        _json("labels", "By language: en, zh."),
        sa.Column(
            "channels",
            postgresql.ARRAY(sa.Text()),
            nullable=False,
            comment="Empty: the purpose has none, its channel is `*`.",
        ),
        _text("legal_basis"),
        _flag("separate", "Needs a consent of its own (PIPL 14, 23, 25, 26, 29, 39)."),
        _flag("cross_border", "Data leave the country (PIPL 39)."),
        sa.Column("valid_days", sa.Integer(), comment="How long a consent holds; null: until it is withdrawn."),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_consent_purpose"),
    )
    op.create_table(
        "consent_text",
        _text("purpose"),
        _text("locale"),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        _text("title"),
        _text("body"),
        _text("hash", comment="SHA-256 of title, newline and body, in hexadecimal."),
        _text("created_by"),
        _instant("created_at", now=True),
        sa.PrimaryKeyConstraint("purpose", "locale", "version", name="pk_consent_text"),
    )


def _consents() -> None:
    op.create_table(
        "consent",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("via", sa.Uuid(), nullable=False),
        _text("purpose"),
        _text("channel", comment="`*`: all channels of the purpose."),
        _text("state", comment="given or withdrawn"),
        _instant("at", comment="When it was said."),
        _text("legal_basis"),
        _text("text_locale", nullable=True),
        sa.Column("text_version", sa.Integer()),
        _text("text_hash", nullable=True),
        _flag("separate", "It was asked for by itself."),
        _instant("expires_at", nullable=True),
        _text("source", comment="The source of the event, or the route."),
        _text("method", comment="preference_centre, staff or event"),
        _text("who"),
        _json("evidence", "ip, user_agent, message_id, note: what there is."),
        _instant("recorded_at", now=True),
        sa.PrimaryKeyConstraint("id", name="pk_consent"),
        comment="Append-only.",
    )
    op.create_index("ix_consent_via", "consent", ["via", "purpose", "channel", sa.text("at DESC")])


def _seed() -> None:
    insert = sa.text("""
        INSERT INTO consent_purpose (key, position, labels, channels, legal_basis, separate, cross_border)
        VALUES (:key, :position, CAST(:labels AS jsonb), CAST(:channels AS text[]), 'consent', :separate, :abroad)""")
    for position, (key, labels, channels, separate, abroad) in enumerate(PURPOSES):
        op.get_bind().execute(
            insert,
            {
                "key": key, "position": position, "labels": json.dumps(labels), "channels": list(channels),
                "separate": separate, "abroad": abroad,
            },
        )  # fmt: skip
