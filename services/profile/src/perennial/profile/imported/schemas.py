"""HTTP bodies of what a file may bring."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from perennial.common.web.fields import Flag, Whole
from perennial.profile.consents.schemas import Channel, Key, Locale

Code = Literal["unknown_purpose", "unknown_channel", "unknown_text", "separate_consent_required"]


class Wanted(BaseModel):
    """One kind of consent that a column tells."""

    model_config = ConfigDict(extra="forbid")

    purpose: Key
    channel: Channel = "*"
    separate: Flag = False
    text_locale: Locale | None = None
    text_version: Whole | None = Field(default=None, ge=1, le=1_000_000)

    @property
    def granted(self) -> bool:
        """What can be given can be withdrawn."""
        return True


class Targets(BaseModel):
    """What the columns of a file are meant to tell."""

    model_config = ConfigDict(extra="forbid")

    consents: list[Wanted] = Field(default=[], max_length=1000)


class Unfit(BaseModel):
    """Why a column cannot be taken: its place in the list, and the reason."""

    index: int
    code: Code
    detail: str


class Takes(BaseModel):
    """The tags that a file may give, and which of the consents it cannot tell."""

    tags: list[str]
    unfit: list[Unfit]
