"""HTTP bodies of sources."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from perennial.gateway.sources.models import Source

Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
]
Origin = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.\-\[\]:]{1,255}$")]


class NewSource(BaseModel):
    """A shop, an app or a back end that will send events."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: Name
    kind: Literal["client", "server"] = Field(
        default="server", description="`client`: browsers and apps, whose address is part of the event's context."
    )
    may_import: bool = Field(default=False, strict=True, description="May send history that nothing follows from.")
    origins: list[Origin] = Field(
        default_factory=list, max_length=100, description="Web origins that may send; empty: all."
    )


class WriteKeyOut(BaseModel):
    """A live write key. It is public: it only writes events to its source."""

    key: str
    created_at: datetime


class SourceOut(BaseModel):
    """A source and its live write keys, newest first."""

    id: str
    name: str
    kind: Literal["client", "server"]
    enabled: bool
    may_import: bool
    origins: list[str]
    write_keys: list[WriteKeyOut]
    created_at: datetime

    @classmethod
    def of(cls, source: Source) -> Self:
        """The body for a source."""
        keys = [
            WriteKeyOut(key=key.key, created_at=key.created_at) for key in source.write_keys if key.retired_at is None
        ]
        return cls.model_validate(
            {
                "id": source.id, "name": source.name, "kind": source.kind, "enabled": source.enabled,
                "may_import": source.may_import, "origins": source.origins, "write_keys": keys,
                "created_at": source.created_at,
            }
        )  # fmt: skip


class ViolationOut(BaseModel):
    """An event that was rejected, with the reason."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    code: str
    message: str
    message_id: str | None
    raw: str = Field(description="The event as it was sent, cut at 64 KiB.")
    at: datetime
