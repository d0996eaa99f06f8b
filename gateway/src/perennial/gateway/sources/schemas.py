"""HTTP bodies of sources."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from perennial.common.web.fields import Whole, left_out
from perennial.gateway.shapes import Name
from perennial.gateway.sources.models import MIN_BURST, Source
from perennial.gateway.sources.origins import normalised

MOST_EVENTS = 1_000_000
Origin = Annotated[str, StringConstraints(max_length=300), AfterValidator(normalised)]
Origins = Annotated[
    list[Origin],
    Field(
        max_length=100,
        description="Web origins that may send, `https://*.shop.example` for all subdomains; empty: every origin.",
    ),
]
Kind = Annotated[
    Literal["client", "server"],
    Field(description="`client`: browsers and apps, whose address is part of the event's context."),
]
MayImport = Annotated[bool, Field(strict=True, description="May send history that nothing follows from.")]

MayConsent = Annotated[
    bool,
    Field(
        strict=True,
        description="The events of a `client` may give consent that must be asked for by itself. Its key is public, so"
        " it proves nobody: such consent is better given at `/v1/me/consents` or by a `server`.",
    ),
]


class RateLimit(BaseModel):
    """How many events a source may send, counted in each gateway process; above it 429 for the whole request."""

    model_config = ConfigDict(extra="forbid")

    events_per_second: Whole = Field(ge=1, le=MOST_EVENTS)
    burst: Whole = Field(
        ge=MIN_BURST, le=MOST_EVENTS * 60, description="Events at once, rounded up to whole seconds of the rate."
    )


class NewSource(BaseModel):
    """A shop, an app or a back end that will send events."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: Name
    kind: Kind = "server"
    may_import: MayImport = False
    may_consent: MayConsent = False
    origins: Origins = []
    rate_limit: RateLimit | None = None


class SourceChange(BaseModel):
    """What is to be different (a JSON merge patch)."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: Name = left_out()
    kind: Kind = left_out()
    may_import: MayImport = left_out()
    may_consent: MayConsent = left_out()
    origins: Origins = left_out()
    rate_limit: RateLimit | None = Field(default=None, description="null: no limit.")


class WriteKeyOut(BaseModel):
    """A live write key. It is public: it only writes events to its source."""

    key: str
    created_at: datetime


class SourceOut(BaseModel):
    """A source and its live write keys, newest first."""

    id: str
    version: int = Field(description="The ETag.")
    name: str
    kind: Literal["client", "server"]
    enabled: bool
    may_import: bool
    may_consent: bool
    origins: list[str]
    rate_limit: RateLimit | None
    tracking_plan: int | None = Field(description="The version of the tracking plan in force.")
    write_keys: list[WriteKeyOut]
    created_at: datetime

    @classmethod
    def of(cls, source: Source) -> Self:
        """The body for a source."""
        keys = [
            WriteKeyOut(key=key.key, created_at=key.created_at) for key in source.write_keys if key.retired_at is None
        ]
        limit = {"events_per_second": source.events_per_second, "burst": source.burst}
        return cls.model_validate(
            {
                "id": source.id, "version": source.version, "name": source.name, "kind": source.kind,
                "enabled": source.enabled, "may_import": source.may_import, "may_consent": source.may_consent,
                "origins": source.origins,
                "rate_limit": limit if source.events_per_second else None, "tracking_plan": source.plan_version,
                "write_keys": keys, "created_at": source.created_at,
            }
        )  # fmt: skip
