"""HTTP bodies of tracking plans."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from perennial.gateway.plans.bounds import MAX_DEPTH, depth_of

MOST_EVENTS = 1_000
MOST_CHECKED = 100

Invalid = Annotated[
    Literal["allow", "omit", "quarantine"],
    Field(
        description="What becomes of an event that breaks its schema. `allow`: accepted, and noted as a violation; "
        "`omit`: accepted without the properties in question; `quarantine`: rejected."
    ),
]
UnplannedProperties = Annotated[
    Literal["ignore", "allow", "omit", "quarantine"],
    Field(description="What becomes of properties that the schema does not name; `ignore`: nothing is noted."),
]
UnplannedEvents = Annotated[
    Literal["ignore", "allow", "quarantine"],
    Field(description="What becomes of a track event that the plan does not name."),
]
EventName = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"\S")]


def _shallow(schema: dict[str, Any]) -> dict[str, Any]:
    if depth_of(schema) > MAX_DEPTH:
        msg = f"is nested deeper than {MAX_DEPTH} levels"
        raise ValueError(msg)
    return schema


class Rule(BaseModel):
    """The JSON Schema (2020-12) of `properties` or `traits`, and what to do with what breaks it."""

    model_config = ConfigDict(extra="forbid", serialize_by_alias=True, validate_by_name=True)

    json_schema: Annotated[dict[str, Any], AfterValidator(_shallow)] = Field(
        alias="schema", description="`$ref` may point into its own `$defs` only."
    )
    invalid: Invalid | None = Field(default=None, description="Else the plan's.")
    unplanned_properties: UnplannedProperties | None = Field(default=None, description="Else the plan's.")


class PlanIn(BaseModel):
    """What a source has promised to send. Names of events are compared in their standard form."""

    model_config = ConfigDict(extra="forbid")

    events: dict[EventName, Rule] = Field(default_factory=dict, max_length=MOST_EVENTS)
    identify: Rule | None = None
    group: Rule | None = None
    page: Rule | None = None
    screen: Rule | None = None
    invalid: Invalid = "allow"
    unplanned_properties: UnplannedProperties = "ignore"
    unplanned_events: UnplannedEvents = "ignore"


class PlanOut(BaseModel):
    """A version of a source's plan."""

    model_config = ConfigDict(from_attributes=True)

    source_id: str
    version: int = Field(description="The ETag.")
    created_at: datetime
    created_by: str
    plan: dict[str, Any]


class PlanVersion(BaseModel):
    """A version that a source's plan has or had."""

    model_config = ConfigDict(from_attributes=True)

    version: int
    created_at: datetime
    created_by: str


class Check(BaseModel):
    """Events to try on the plan; nothing of it is stored."""

    model_config = ConfigDict(extra="forbid")

    events: list[Any] = Field(min_length=1, max_length=MOST_CHECKED)
    plan: PlanIn | None = Field(default=None, description="The plan to try; else the one in force.")


class Finding(BaseModel):
    """What the plan objects to."""

    path: str = Field(description="JSON pointer into the event.")
    message: str


class Checked(BaseModel):
    """What would become of one event."""

    index: int
    outcome: Literal["accepted", "allowed", "omitted", "rejected"]
    code: str | None = None
    message: str | None = None
    findings: list[Finding] = []
    event: dict[str, Any] | None = Field(default=None, description="What would be stored.")


class CheckedAll(BaseModel):
    """One answer for each event."""

    results: list[Checked]
