"""Every version of every tracking plan; `source.plan_version` names the one in force."""

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, ForeignKey, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from perennial.gateway.models import Base


class TrackingPlan(Base):
    """One version of a source's plan; never changed."""

    __tablename__ = "tracking_plan"

    source_id: Mapped[str] = mapped_column(ForeignKey("source.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    document: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    created_by: Mapped[str] = mapped_column(Text)
