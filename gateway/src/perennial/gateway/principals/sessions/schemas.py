"""HTTP bodies of signing in and out."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Password = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class Login(BaseModel):
    """An address and its password."""

    model_config = ConfigDict(extra="forbid")

    email: Annotated[str, StringConstraints(min_length=1, max_length=320)]
    password: Password


class PasswordChange(BaseModel):
    """The password of today, and the one that takes its place."""

    model_config = ConfigDict(extra="forbid")

    current_password: Password
    new_password: Password = Field(
        description="12 to 128 characters, not one that everybody tries first, without the e-mail address."
    )


class SessionOut(BaseModel):
    """One of one's own sessions."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    user_agent: str
    created_at: datetime
    last_seen_at: datetime = Field(description="To the minute.")
    expires_at: datetime
    current: bool = False


class OpenedSession(SessionOut):
    """A new session with its token, shown this once; send it as `Authorization: Bearer`."""

    token: str
    must_change_password: bool


class Sessions(BaseModel):
    """One's own sessions, newest first."""

    items: list[SessionOut]


class Me(BaseModel):
    """Who is signed in, and what that allows."""

    id: str
    email: str | None = Field(description="null for staff of the OpenID provider.")
    name: str | None
    roles: list[str]
    scopes: list[str]
    fields: list[str] = Field(description="What is seen in clear besides public fields.")
    must_change_password: bool
