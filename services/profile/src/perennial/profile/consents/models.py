"""Purposes and texts as data, and every statement that a customer made."""

from sqlalchemy import Boolean, Column, DateTime, Index, Integer, Table, Text, Uuid, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from perennial.profile.models import metadata

_Instant = DateTime(timezone=True)

consent_purpose = Table(
    "consent_purpose",
    metadata,
    Column("key", Text, primary_key=True),
    Column("position", Integer, nullable=False, comment="In the preference centre."),
    Column("labels", JSONB, nullable=False, comment="By language: en, zh."),
    Column("channels", ARRAY(Text), nullable=False, comment="Empty: the purpose has none, its channel is `*`."),
    Column("legal_basis", Text, nullable=False),
    Column("separate", Boolean, nullable=False, comment="Needs a consent of its own (PIPL 14, 23, 25, 26, 29, 39)."),
    Column("cross_border", Boolean, nullable=False, comment="Data leave the country (PIPL 39)."),
    Column("valid_days", Integer, comment="How long a consent holds; null: until it is withdrawn."),
    Column("version", Integer, server_default=text("1"), nullable=False),
)
consent_text = Table(
    "consent_text",
    metadata,
    Column("purpose", Text, primary_key=True),
    Column("locale", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("hash", Text, nullable=False, comment="SHA-256 of title, newline and body, in hexadecimal."),
    Column("created_by", Text, nullable=False),
    Column("created_at", _Instant, server_default=func.now(), nullable=False),
)
consent = Table(
    "consent",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("via", Uuid, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("channel", Text, nullable=False, comment="`*`: all channels of the purpose."),
    Column("state", Text, nullable=False, comment="given or withdrawn"),
    Column("at", _Instant, nullable=False, comment="When it was said."),
    Column("legal_basis", Text, nullable=False),
    Column("text_locale", Text),
    Column("text_version", Integer),
    Column("text_hash", Text),
    Column("separate", Boolean, nullable=False, comment="It was asked for by itself."),
    Column("expires_at", _Instant),
    Column("source", Text, nullable=False, comment="The source of the event, or the route."),
    Column("method", Text, nullable=False, comment="preference_centre, staff or event"),
    Column("who", Text, nullable=False),
    Column("evidence", JSONB, nullable=False, comment="ip, user_agent, message_id, note: what there is."),
    Column("recorded_at", _Instant, server_default=func.now(), nullable=False),
    comment="Append-only.",
)
Index("ix_consent_via", consent.c.via, consent.c.purpose, consent.c.channel, consent.c.at.desc())
