"""Channels as data: sender, limits, quiet hours."""

from datetime import datetime, time, timedelta

from sqlalchemy import Interval, Time, func
from sqlalchemy.orm import Mapped, mapped_column

from perennial.campaigns.metadata import Base


class Channel(Base):
    """A way for messages to leave. The service makes the two there are when it starts; `version` is the ETag."""

    __tablename__ = "channel"

    name: Mapped[str] = mapped_column(primary_key=True)
    sender: Mapped[str]
    unsubscribe: Mapped[str | None] = mapped_column(comment="An https: or mailto: address for List-Unsubscribe.")
    cap: Mapped[int | None] = mapped_column(comment="Messages per customer in cap_window; null: no limit.")
    cap_window: Mapped[timedelta] = mapped_column(Interval)
    quiet_from: Mapped[time | None] = mapped_column(Time)
    quiet_until: Mapped[time | None] = mapped_column(Time)
    version: Mapped[int]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
