"""What has been announced."""

from sqlalchemy import Column, DateTime, Integer, Table, Uuid

from perennial.loyalty.models import metadata

expiry_notice = Table(
    "expiry_notice",
    metadata,
    Column("lot_id", Uuid, primary_key=True),
    Column("expires_at", DateTime(timezone=True), primary_key=True, index=True),
    Column("days", Integer, primary_key=True),
)
