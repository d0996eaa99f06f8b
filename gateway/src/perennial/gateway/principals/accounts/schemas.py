"""HTTP bodies of staff accounts."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from perennial.common.web.fields import Flag, left_out
from perennial.gateway.shapes import Name

Email = Annotated[str, StringConstraints(min_length=3, max_length=320)]
RoleName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,39}$")]


class NewAccount(BaseModel):
    """Somebody who will work here."""

    model_config = ConfigDict(extra="forbid")

    email: Email
    name: Name
    role: RoleName


class AccountChange(BaseModel):
    """What is to be different (a JSON merge patch)."""

    model_config = ConfigDict(extra="forbid")

    name: Name = left_out()
    role: RoleName = left_out()
    disabled: Flag = left_out()


class AccountOut(BaseModel):
    """A staff account."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    version: int = Field(description="The ETag.")
    email: str
    name: str
    role: str
    disabled: bool
    must_change: bool = Field(description="The password was made up by somebody else and has not been changed yet.")
    locked_until: datetime | None = None
    created_at: datetime
    last_login_at: datetime | None


class Issued(AccountOut):
    """An account with a password for the first login, shown this once."""

    one_time_password: str
