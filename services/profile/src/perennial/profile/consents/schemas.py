"""Bodies of the routes on consent."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from perennial.common import masks, prose
from perennial.common.auth import Principal
from perennial.common.web.fields import Flag, Instant, Whole

Basis = Literal[
    "consent", "contract", "legal_obligation", "vital_interests", "public_task", "legitimate_interests"
]  # fmt: skip
State = Literal["given", "withdrawn", "expired"]
Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Channel = Annotated[str, Field(pattern=r"^(\*|[a-z][a-z0-9_]{0,29})$", description="`*`: every channel.")]
Locale = Annotated[str, Field(pattern=r"^[a-z]{2}(-[A-Za-z0-9]{2,8})?$", examples=["en", "zh"])]
Label = Annotated[str, Field(min_length=1, max_length=200)]


class PurposeWrite(BaseModel):
    """Why data are used. `separate`: the consent must be asked for by itself, as PIPL wants it for some purposes."""

    model_config = ConfigDict(extra="forbid")

    position: Whole = Field(default=100, ge=0, le=10_000)
    labels: dict[Locale, Label] = Field(min_length=1, max_length=20)
    channels: list[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,29}$")]] = Field(default=[], max_length=20)
    legal_basis: Basis = "consent"
    separate: Flag = False
    cross_border: Flag = False
    valid_days: Annotated[Whole, Field(ge=1, le=36_500)] | None = None


class Purpose(PurposeWrite):
    """A purpose; `version` is its ETag."""

    key: str
    version: int


class TextCreate(BaseModel):
    """What customers are shown when they are asked. A change is a new version."""

    model_config = ConfigDict(extra="forbid")

    purpose: Key
    locale: Locale
    title: str = Field(min_length=1, max_length=200)
    body: str = Field(min_length=1, max_length=20_000)


class ConsentText(TextCreate):
    """One version of a text; `hash` is the SHA-256 of title, newline and body."""

    version: int
    hash: str
    created_by: str
    created_at: datetime


class TextShown(BaseModel):
    """The text in force."""

    locale: str
    version: int
    title: str
    body: str
    hash: str


class Choice(BaseModel):
    """What the customer decides on one purpose and channel, and the text that was shown."""

    model_config = ConfigDict(extra="forbid")

    purpose: Key
    channel: Channel = "*"
    granted: Flag
    text_locale: Locale | None = None
    text_version: Annotated[Whole, Field(ge=1, le=1_000_000)] | None = None
    separate: Flag = Field(default=False, description="It was asked for by itself, not together with anything else.")


class Choices(BaseModel):
    """What the customer changes; what is not named stays."""

    model_config = ConfigDict(extra="forbid")

    choices: list[Choice] = Field(min_length=1, max_length=100)


class Told(BaseModel):
    """How it is known: where and from what the customer said it."""

    model_config = ConfigDict(extra="forbid")

    ip: str | None = Field(default=None, max_length=45)
    user_agent: str | None = Field(default=None, max_length=400)
    reference: str | None = Field(default=None, max_length=200, description="A form, a recording, a ticket.")
    note: str | None = Field(default=None, max_length=1000)


class StaffChoices(Choices):
    """What a customer told somebody, written down by staff or by a back end."""

    at: Instant | None = Field(default=None, description="When it was said; default: now.")
    evidence: Told


class Holding(BaseModel):
    """What holds for one purpose and channel. `state` is null where the customer never said anything."""

    purpose: str
    channel: str
    state: State | None
    at: datetime | None = None
    expires_at: datetime | None = None
    legal_basis: Basis | None = None
    text_locale: str | None = None
    text_version: int | None = None
    text_hash: str | None = None
    separate: bool | None = None
    source: str | None = None
    method: str | None = None


class Consents(BaseModel):
    """What a customer has agreed to."""

    customer_id: UUID
    items: list[Holding]


class Offer(BaseModel):
    """One row of the preference centre."""

    purpose: str
    label: str
    labels: dict[str, str]
    legal_basis: Basis
    separate: bool
    cross_border: bool
    text: TextShown | None
    channels: list[Holding]


class PreferenceCentre(BaseModel):
    """Every purpose with its label, its text in the language asked for, and what the customer has said."""

    items: list[Offer]


class Said(BaseModel):
    """One statement of the history. Evidence is shown to who may see personal fields."""

    id: UUID
    purpose: str
    channel: str
    state: State
    at: datetime
    legal_basis: Basis
    text_locale: str | None
    text_version: int | None
    text_hash: str | None
    separate: bool
    expires_at: datetime | None
    source: str
    method: str
    who: str
    evidence: dict[str, Any]
    recorded_at: datetime

    def seen_by(self, principal: Principal) -> Self:
        """The same with what the principal does not see masked."""
        clear = {name: value for name, value in self.evidence.items() if isinstance(value, str)}
        shown = {
            name: masks.properties(principal, {name: value})[name] if name == "ip" else prose.private(principal, value)
            for name, value in clear.items()
        }
        return self.model_copy(update={"evidence": shown, "who": masks.text(principal, self.who)})
