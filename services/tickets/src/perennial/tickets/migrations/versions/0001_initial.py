"""Tickets, their history and clocks, agents, rules, types and calendars; presets; the tables every service has."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from perennial.common.db.migrations import append_only, create_common_tables, drop_common_tables
from perennial.tickets.migrations.versions import PRESETS

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "customer_segment",
    "customer_tier",
    "sla_interval",
    "sla_clock",
    "ticket_event",
    "ticket",
    "dispatch_rule",
    "agent",
    "ticket_type",
    "calendar",
)


def _at(name: str, *, now: bool = False) -> "sa.Column[object]":
    default = sa.func.now() if now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=not now)


def _texts(*names: str, nullable: bool = False) -> "list[sa.Column[Any]]":
    return [sa.Column(name, sa.Text, nullable=nullable) for name in names]


def _ticket_id(*, primary_key: bool = False) -> "sa.Column[object]":
    return sa.Column("ticket_id", sa.Uuid, sa.ForeignKey("ticket.id"), nullable=False, primary_key=primary_key)


def upgrade() -> None:
    create_common_tables()
    _configuration()
    _dispatch()
    _tickets()
    _history()
    _clocks()
    _customers()
    append_only("ticket_event", "ticket_type", "calendar")


def _configuration() -> None:
    presets = json.loads(PRESETS.read_text())
    made = {}
    for table in ("calendar", "ticket_type"):
        made[table] = op.create_table(
            table,
            sa.Column("key", sa.Text, primary_key=True),
            sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("definition", postgresql.JSONB, nullable=False),
            _at("created_at", now=True),
        )
    op.bulk_insert(made["calendar"], [{"key": "always", "version": 1, "definition": presets["calendar"]}])
    op.bulk_insert(
        made["ticket_type"],
        [
            {"key": key, "version": 1, "definition": {**definition, "stages": presets["stages"]}}
            for key, definition in presets["types"].items()
        ],
    )


def _dispatch() -> None:
    op.create_table(
        "agent",
        *_texts("id", "name"),
        *_texts("team", nullable=True),
        sa.Column("skills", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("capacity", sa.Integer, nullable=False),
        sa.Column("online", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        _at("created_at", now=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "dispatch_rule",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        *_texts("name"),
        sa.Column("rule", postgresql.JSONB, nullable=False),
        *_texts("team", nullable=True),
        sa.Column("skills", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        _at("created_at", now=True),
    )
    op.create_index("ix_dispatch_rule_position", "dispatch_rule", ["position", "id"])


def _tickets() -> None:
    op.create_table(
        "ticket",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), nullable=False, unique=True),
        sa.Column("via", sa.Uuid, nullable=False),
        *_texts("type"),
        sa.Column("type_version", sa.Integer, nullable=False),
        *_texts("subject", "description", "stage", "state", "priority"),
        sa.Column("urgency", sa.SmallInteger, nullable=False),
        sa.Column("fields", postgresql.JSONB, nullable=False),
        *_texts("team", nullable=True),
        sa.Column("assignee", sa.Text, sa.ForeignKey("agent.id")),
        *_texts("dispatch_reason", nullable=True),
        sa.Column("version", sa.Integer, nullable=False),
        *_texts("opened_by"),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        _at("first_response_at"),
        _at("resolved_at"),
        _at("closed_at"),
        *_texts("resolution", nullable=True),
        sa.Column("score", sa.SmallInteger),
        *_texts("score_comment", nullable=True),
        _at("rated_at"),
    )
    in_work = "state IN ('open', 'waiting')"
    op.create_index("ix_ticket_via_id", "ticket", ["via", "id"])
    op.create_index("ix_ticket_stage_id", "ticket", ["stage", "id"])
    assigned = sa.text("assignee IS NOT NULL")
    op.create_index("ix_ticket_assignee", "ticket", ["assignee", "id"], postgresql_where=assigned)
    op.create_index("ix_ticket_in_work", "ticket", ["id"], postgresql_where=sa.text(in_work))
    unassigned = sa.text(f"assignee IS NULL AND {in_work}")
    op.create_index("ix_ticket_waiting", "ticket", ["urgency", "id"], postgresql_where=unassigned)


def _history() -> None:
    op.create_table(
        "ticket_event",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        _ticket_id(),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        *_texts("actor", "kind"),
        sa.Column("public", sa.Boolean, nullable=False),
        sa.Column("detail", postgresql.JSONB, nullable=False),
    )
    op.create_index("ix_ticket_event_ticket_id", "ticket_event", ["ticket_id", "id"])


def _clocks() -> None:
    op.create_table(
        "sla_clock",
        _ticket_id(primary_key=True),
        sa.Column("target", sa.Text, primary_key=True),
        sa.Column("minutes", sa.Integer, nullable=False),
        sa.Column("reopen", sa.Integer, nullable=False),
        *_texts("calendar"),
        sa.Column("calendar_version", sa.Integer, nullable=False),
        _at("due_at"),
        _at("met_at"),
        _at("breached_at"),
    )
    op.create_table(
        "sla_interval",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        _ticket_id(),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        _at("ended_at"),
    )
    op.create_index("ix_sla_interval_ticket_id", "sla_interval", ["ticket_id"])
    running = sa.text("ended_at IS NULL")
    op.create_index("uq_sla_interval_open", "sla_interval", ["ticket_id"], unique=True, postgresql_where=running)


def _customers() -> None:
    op.create_table(
        "customer_tier",
        sa.Column("customer_id", sa.Uuid, primary_key=True),
        *_texts("tier"),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "customer_segment",
        sa.Column("customer_id", sa.Uuid, primary_key=True),
        sa.Column("segment_id", sa.Uuid, primary_key=True),
        sa.Column("member", sa.Boolean, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    drop_common_tables()
