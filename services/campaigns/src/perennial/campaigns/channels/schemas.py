"""HTTP bodies of channels."""

from datetime import datetime, time, timedelta
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from perennial.campaigns.plain import Plain
from perennial.common.web.fields import Spelled, Whole


def _link(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"https", "mailto"} or any(char in value for char in "<> \r\n\t"):
        raise ValueError("must be an https: or mailto: address")
    return value


def _sender(value: str) -> str:
    name, _, rest = value.rpartition("<")
    address = rest.removesuffix(">") if name or rest.endswith(">") else value
    if address.count("@") != 1 or any(char in value for char in "\r\n\x00") or address.strip("@") != address:
        raise ValueError("must be an address, or a name and an address: Shop <hello@shop.example>")
    return value


def _window(value: timedelta) -> timedelta:
    if not timedelta() < value <= timedelta(days=30):
        raise ValueError("must be longer than nothing and at most 30 days")
    return value


_CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?$"
Local = Annotated[time, Spelled, WithJsonSchema({"type": "string", "pattern": _CLOCK})]
Window = Annotated[timedelta, AfterValidator(_window), Spelled]


class ChannelBody(BaseModel):
    """Sender and limits of a channel; every message is measured by them at the moment of sending."""

    model_config = ConfigDict(extra="forbid")

    sender: Annotated[Plain, Field(max_length=300), AfterValidator(_sender)]
    unsubscribe: Annotated[Plain, Field(max_length=500), AfterValidator(_link)] | None = Field(
        default=None,
        description="For List-Unsubscribe, `{message_id}` being the message's id; without it, a mailto: to the sender.",
    )
    cap: Whole | None = Field(default=None, ge=1, le=1000, description="Marketing messages per customer in the window.")
    cap_window: Window = timedelta(days=1)
    quiet_from: Local | None = Field(default=None, description="Local time where the customer lives.")
    quiet_until: Local | None = None

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.quiet_from is None) != (self.quiet_until is None):
            raise ValueError("quiet_from and quiet_until come together")
        if any(bound is not None and bound.tzinfo is not None for bound in (self.quiet_from, self.quiet_until)):
            raise ValueError("quiet_from and quiet_until are local times, without a zone")
        return self


class ChannelView(ChannelBody):
    """A channel as it is."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    version: int
    updated_at: datetime
