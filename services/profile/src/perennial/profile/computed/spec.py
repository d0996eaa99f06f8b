"""What a computed trait is: a function over events or orders, as data."""

import builtins
import hashlib
import json
from datetime import timedelta
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from perennial.common.rules.values.durations import parse_duration
from perennial.common.web.fields import Flag, Whole

Function = Literal[
    "count", "sum", "average", "min", "max", "first", "last", "most_frequent", "unique_list", "unique_count",
    "breakdown", "share", "days_since", "mean_interval", "sessions", "dwell",
]  # fmt: skip
Unit = Literal["day", "week", "month", "year"]
Keeps = Literal["times", "numbers", "values", "words", "spans"]
EventType = Literal["track", "page", "screen", "group", "identify", "alias"]

NUMBERS = frozenset({"sum", "average", "min", "max"})
WORDS = frozenset({"most_frequent", "unique_list", "unique_count", "breakdown"})
SPANS = frozenset({"sessions", "dwell"})
TEXTS = frozenset({"first", "last", "most_frequent", "unique_list", "breakdown"})
UNITS = frozenset(get_args(Unit))
FINE = timedelta(days=31)
REACHES = (100, 370, 740, 1850)  # days
ORDER_PROPERTIES = frozenset(
    {"amount", "net", "refunded", "discount", "items", "currency", "order_id", "$source"}
)  # fmt: skip
CLOCKED = frozenset({"$hour", "$weekday"})
ORDER_MONEY = frozenset({"amount", "net", "refunded", "discount"})

Text = Annotated[str, Field(min_length=1, max_length=200)]
Conditions = Annotated[list[dict[str, Any]], Field(max_length=20)]


class Spec(BaseModel):
    """A function over what happened."""

    model_config = ConfigDict(extra="forbid")

    function: Function
    source: Literal["events", "orders"] = Field(
        default="events", description="orders: by what orders come to after changes and refunds, without cancelled ones"
    )
    events: list[Text] = Field(default=[], max_length=50, description="Names of tracked events.")
    types: list[EventType] = Field(default=[], max_length=6, description="Events of these types, whatever their name.")
    property: Text | None = Field(
        default=None,
        description="Path such as products[].category; also $source, $name, $type, $hour (0-23), $weekday (1-7).",
    )
    where: Conditions = Field(default=[], description="Conditions of the rule language on properties; all must hold.")
    having: Conditions = Field(default=[], description="share: the conditions whose share it is.")
    window: Annotated[str, Field(max_length=40)] | None = Field(
        default=None, description="P30D and the like: rolling; day, week, month, year: the current one; null: ever."
    )
    timezone: Annotated[str, Field(max_length=100)] | None = Field(
        default=None, description="IANA zone of days and hours; null: the deployment's."
    )
    money: Flag = Field(default=False, description="The property is an amount: currencies are kept apart.")
    limit: Annotated[Whole, Field(ge=1, le=1000)] = Field(default=100, description="Most items of a list.")
    gap: Annotated[str, Field(max_length=40)] = Field(default="PT30M", description="The pause that ends a session.")
    sensitivity: Literal["public", "personal", "sensitive"] | None = Field(
        default=None, description="null: figures are public, values that were read from events personal."
    )

    @builtins.property
    def keeps(self) -> Keeps:
        """What has to be remembered of the events."""
        if self.function in NUMBERS:
            return "numbers"
        if self.function in SPANS:
            return "spans"
        if self.function in WORDS or self.function == "share":
            return "words"
        return "values" if self.function in {"first", "last"} and self.property else "times"

    @builtins.property
    def span(self) -> timedelta | None:
        """The length of a rolling window."""
        return parse_duration(self.window) if self.window and self.window not in UNITS else None

    @builtins.property
    def pause(self) -> timedelta:
        """What ends a session."""
        return parse_duration(self.gap)

    def document(self) -> dict[str, Any]:
        """As it is stored."""
        return self.model_dump(mode="json", exclude_defaults=True)


class Feed(BaseModel):
    """Which events are counted and what is kept of them; traits that need the same share it."""

    model_config = ConfigDict(frozen=True)

    keeps: Keeps
    by: str = Field(description="ever, month (for sessions), hour, day, or a calendar unit such as calendar:week")
    events: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    property: str | None = None
    where: tuple[dict[str, Any], ...] = ()
    having: tuple[dict[str, Any], ...] = ()
    timezone: str | None = None
    money: bool = False
    gap: str | None = None
    reach: int | None = Field(default=None, description="by day: how many days are kept; null: all of them")

    def document(self) -> dict[str, Any]:
        """As it is stored."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def digest(self) -> str:
        """The same for feeds that are the same."""
        return hashlib.sha256(json.dumps(self.document(), sort_keys=True).encode()).hexdigest()


def feed_of(spec: Spec) -> Feed:
    """What a definition needs."""
    spelled = spec.property in CLOCKED or spec.window in UNITS
    return Feed(
        keeps=spec.keeps,
        by=_by(spec),
        events=tuple(sorted(set(spec.events))),
        types=tuple(sorted(set(spec.types))),
        property=spec.property,
        where=tuple(spec.where),
        having=tuple(spec.having),
        timezone=spec.timezone if spelled else None,
        money=spec.money,
        gap=spec.gap if spec.keeps == "spans" else None,
        reach=_reach(spec),
    )


def _by(spec: Spec) -> str:
    if spec.window in UNITS:
        return f"calendar:{spec.window}"
    span = spec.span
    if span is None:
        return "month" if spec.keeps == "spans" else "ever"
    return "hour" if span <= FINE else "day"


def _reach(spec: Spec) -> int | None:
    """Days, in few sizes: a longer window must never find what a shorter one has let go of."""
    span = spec.span
    if span is None or span <= FINE:
        return None
    return next((days for days in REACHES if span <= timedelta(days=days)), None)
