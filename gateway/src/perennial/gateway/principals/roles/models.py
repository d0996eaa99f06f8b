"""What each role sees in clear, where somebody chose."""

from sqlalchemy import BigInteger, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from perennial.gateway.models import Base


class RoleFields(Base):
    """What a role sees in clear, in the place of what is built in (again when `fields` is null)."""

    __tablename__ = "role_fields"

    role: Mapped[str] = mapped_column(Text, primary_key=True)
    fields: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    version: Mapped[int] = mapped_column(BigInteger)
