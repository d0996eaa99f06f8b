"""The versions of the programme after the first, which is built in."""

from sqlalchemy import Column, DateTime, Integer, Table, Text, func
from sqlalchemy.dialects.postgresql import JSONB

from perennial.loyalty.models import metadata

programme = Table(
    "programme",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("valid_from", DateTime(timezone=True), server_default=func.now(), nullable=False),
    Column("definition", JSONB, nullable=False),
    Column("author", Text, nullable=False),
)
