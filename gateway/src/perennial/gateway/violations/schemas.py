"""HTTP bodies of violations."""

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

import msgspec
from fastapi import Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from perennial.common import masks
from perennial.common.auth import Principal
from perennial.common.web.fields import Instant, Whole
from perennial.gateway.violations.filters import Filter
from perennial.gateway.violations.models import Violation

MOST = 1_000
LARGEST_ID = 2**53 - 1  # beyond it JSON's numbers are not exact everywhere
LONGEST_PATCH = 32 * 1024
_JSON = msgspec.json.Decoder()
_OF_CLIENTS = ("message", "path", "type", "name", "message_id")  # all may hold names and ids that a client made up

Word = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Outcome = Literal["rejected", "allowed", "omitted"]


def _storable(patch: dict[str, Any]) -> dict[str, Any]:
    try:
        encoded = msgspec.json.encode(patch)
        msgspec.json.decode(encoded)
    except (UnicodeEncodeError, OverflowError, msgspec.MsgspecError, RecursionError) as error:
        msg = "holds what is no JSON: half a surrogate pair, or a number out of range"
        raise ValueError(msg) from error
    if len(encoded) > LONGEST_PATCH:
        msg = f"is larger than {LONGEST_PATCH} bytes"
        raise ValueError(msg)
    if b"\\u0000" in encoded:
        msg = "holds NUL characters"
        raise ValueError(msg)
    return patch


def filtered(
    code: Annotated[Word | None, Query()] = None,
    name: Annotated[Word | None, Query(description="Name of the event or page.")] = None,
    outcome: Annotated[Outcome | None, Query()] = None,
    since: Annotated[Instant | None, Query(description="Received then or later.")] = None,
    until: Annotated[Instant | None, Query(description="Received before then.")] = None,
    replayed: Annotated[bool | None, Query()] = None,
) -> Filter:
    """The filter in a query string."""
    return Filter(code, name, outcome, since, until, replayed)


class ViolationOut(BaseModel):
    """An event that broke a rule, with the reason."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    code: str
    message: str
    path: str | None = Field(description="JSON pointer to what a tracking plan objects to.")
    outcome: Outcome = Field(
        description="`rejected`: not accepted; `omitted`: accepted without what breaks the plan; `allowed`: as it came."
    )
    type: str | None
    name: str | None
    message_id: str | None
    raw: str | None = Field(
        description="The event as it was sent, cut at 64 KiB; what the principal may not see is masked, and null when "
        "it cannot be read to be masked."
    )
    replayable: bool = Field(description="Rejected, and kept whole.")
    replayed_at: datetime | None
    at: datetime

    @classmethod
    def of(cls, row: Violation, principal: Principal) -> Self:
        """The body for a violation, as a principal may see it."""
        shown: dict[str, Any] = {
            name: said_to(principal, getattr(row, name)) if name in _OF_CLIENTS else getattr(row, name)
            for name in cls.model_fields
            if name not in {"raw", "replayable"}
        }
        return cls(**shown, raw=_shown(row.raw, principal), replayable=row.whole and row.outcome == "rejected")


def said_to(principal: Principal, said: str | None) -> str | None:
    """A text with something of a client's in it, as a principal may see it."""
    return said and masks.text(principal, said, bare=False)


def _shown(raw: str, principal: Principal) -> str | None:
    if masks.EVERYTHING in principal.fields:
        return raw
    try:
        event = _JSON.decode(raw)
        if isinstance(event, dict):
            return msgspec.json.encode(masks.body(principal, event)).decode()
    except (msgspec.MsgspecError, RecursionError, OverflowError):
        return None
    return None


class DayCount(BaseModel):
    """How many on one day, UTC."""

    day: date
    count: int


class Series(BaseModel):
    """How often one rule was broken by events of one name."""

    code: str
    outcome: Outcome
    name: str | None = Field(description="Null: events without a name, and of names beyond the first 1,000 of a day.")
    count: int
    days: list[DayCount]


class Summary(BaseModel):
    """Counts that stay true also when the events themselves are not kept."""

    total: int
    series: list[Series] = Field(description="The most frequent first, 500 at most.")


class Replay(BaseModel):
    """Which rejected events to try again, and what to change in them before."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Annotated[Whole, Field(ge=1, le=LARGEST_ID)]] | None = Field(default=None, min_length=1, max_length=MOST)
    code: Word | None = None
    name: Word | None = None
    since: Instant | None = None
    until: Instant | None = None
    after: Whole = Field(default=0, ge=0, le=LARGEST_ID, description="`after` of the previous answer.")
    again: bool = Field(default=False, strict=True, description="Also events that were replayed before.")
    patch: Annotated[dict[str, Any], AfterValidator(_storable)] | None = Field(
        default=None, description='A JSON merge patch (RFC 7396) for each event, such as `{"userId": "u1"}`.'
    )
    as_import: bool = Field(
        default=False, strict=True,
        description="As an import, for which no event is too old; the source must be allowed to import.",
    )  # fmt: skip
    dry_run: bool = Field(default=False, strict=True)

    def filter(self) -> Filter:
        """Which rejected events are meant."""
        return Filter(self.code, self.name, since=self.since, until=self.until, replayed=None if self.again else False)

    @model_validator(mode="after")
    def _ids_or_filter(self) -> Self:
        chosen = {"code", "name", "since", "until", "after"} & self.model_fields_set
        if self.ids is not None and chosen:
            msg = f"ids and {', '.join(sorted(chosen))} exclude each other"
            raise ValueError(msg)
        if self.ids is None and not chosen:
            msg = "ids, or one of code, name, since, until, is required"
            raise ValueError(msg)
        return self


class StillRejected(BaseModel):
    """An event that cannot be accepted yet, and why."""

    id: int
    code: str
    message: str


class Replayed(BaseModel):
    """What a replay did; with `dry_run`, what it would do."""

    replayed: int
    rejected: list[StillRejected]
    remaining: int = Field(description="Events that match the filter and lie behind `after`.")
    after: int = Field(description="The last event tried: the next call goes on behind it.")
    dry_run: bool
