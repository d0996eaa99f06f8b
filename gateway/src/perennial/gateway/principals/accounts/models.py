"""Staff accounts."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from perennial.gateway.models import Base

NOW = func.now()


class Account(Base):
    """Somebody who works here. `password` is an argon2id hash; `must_change`: it was made up by somebody else."""

    __tablename__ = "staff_account"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    email: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    disabled: Mapped[bool] = mapped_column(server_default=text("false"))
    password: Mapped[str] = mapped_column(Text)
    must_change: Mapped[bool] = mapped_column(server_default=text("false"))
    password_set_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=NOW)
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=NOW)
    last_login_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
