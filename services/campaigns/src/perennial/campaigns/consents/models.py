"""A copy of the newest statements, each under the identifier that it was made by."""

from sqlalchemy import BigInteger, Column, DateTime, Table, Text, Uuid

from perennial.campaigns.metadata import metadata

consent = Table(
    "consent",
    metadata,
    Column("via", Uuid, primary_key=True),
    Column("purpose", Text, primary_key=True),
    Column("channel", Text, primary_key=True, comment="`*`: every channel."),
    Column("state", Text, nullable=False, comment="given or withdrawn"),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True)),
    Column("version", BigInteger, nullable=False),
)
