"""A ticket type as data: stages and how they follow each other, the form, the service levels."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo, field_validator

from perennial.common.web.fields import Flag, Whole
from perennial.tickets.texts import Key, Label, storable

State = Literal["open", "waiting", "resolved", "closed"]
Priority = Literal["low", "normal", "high", "urgent"]
Minutes = Annotated[Whole, Field(ge=1, le=43_200, description="Minutes of working time.")]
Choice = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(storable)]


class Stage(BaseModel):
    """A step of the way. Clocks run in `open` stages only; a `resolved` ticket can be opened again."""

    model_config = ConfigDict(extra="forbid")

    key: Key
    label: Label
    state: State
    next: list[Key] = Field(default=[], max_length=30, description="The stages that may follow.")
    responds: Flag = Field(default=False, description="Staff who move a ticket here have responded to the customer.")
    answered: Key | None = Field(default=None, description="Where a ticket goes when the customer comments on it.")

    @property
    def ended(self) -> bool:
        """Whether nobody works on it any more."""
        return self.state in {"resolved", "closed"}


class FormField(BaseModel):
    """A value that the request carries. Decimals are kept as strings, as exact as they were sent."""

    model_config = ConfigDict(extra="forbid")

    name: Key
    label: Label
    type: Literal["text", "integer", "decimal", "boolean", "date", "choice"]
    required: Flag = False
    choices: list[Choice] = Field(default=[], max_length=200)
    sensitivity: Literal["public", "personal", "sensitive"] = Field(
        default="personal", description="Who sees it in clear: everybody, or whoever sees fields of that class."
    )


class Targets(BaseModel):
    """Service levels of one priority; what is left out is not promised."""

    model_config = ConfigDict(extra="forbid")

    first_response: Minutes | None = None
    resolution: Minutes | None = None
    reopen: Minutes = Field(default=60, description="What a ticket that is opened again has left at least.")


class TypeDefinition(BaseModel):
    """All of a ticket type but its key."""

    model_config = ConfigDict(extra="forbid")

    label: Label
    stages: list[Stage] = Field(min_length=2, max_length=30, description="A ticket begins in the first.")
    assigned_stage: Key | None = Field(default=None, description="Where a new ticket goes when somebody has it.")
    priority: Priority = Field(default="normal", description="Of tickets that come without one.")
    fields: list[FormField] = Field(default=[], max_length=50)
    sla: dict[Priority, Targets] = {}
    calendar: Key = Field(default="always", description="By which calendar the service levels count.")
    archived: Flag = Field(default=False, description="No new tickets of this type.")

    @field_validator("stages")
    @classmethod
    def _connected(cls, stages: list[Stage]) -> list[Stage]:
        keys = [stage.key for stage in stages]
        if len(set(keys)) < len(keys):
            raise ValueError("must have different keys")
        if stages[0].state != "open":
            raise ValueError(f"{keys[0]}: the first stage must be open")
        if not any(stage.state == "closed" for stage in stages):
            raise ValueError("must include a closed one")
        for stage in stages:
            for other in (*stage.next, *([stage.answered] if stage.answered else [])):
                if other not in keys:
                    raise ValueError(f"{stage.key}: there is no stage {other}")
            if stage.state == "closed" and (stage.next or stage.answered):
                raise ValueError(f"{stage.key}: nothing follows a closed stage")
        return stages

    @field_validator("assigned_stage")
    @classmethod
    def _known(cls, key: str | None, info: ValidationInfo) -> str | None:
        stages = info.data.get("stages", [])
        if key is not None and stages and not any(stage.key == key and stage.state == "open" for stage in stages):
            raise ValueError("must be one of the open stages")
        return key

    @field_validator("fields")
    @classmethod
    def _distinct(cls, fields: list[FormField]) -> list[FormField]:
        names = [field.name for field in fields]
        if len(set(names)) < len(names):
            raise ValueError("must have different names")
        for field in fields:
            if (field.type == "choice") != bool(field.choices):
                raise ValueError(f"{field.name}: choices belong to a field of type choice, and only there")
        return fields

    def stage(self, key: str) -> Stage | None:
        """The stage of that key."""
        return next((stage for stage in self.stages if stage.key == key), None)

    @property
    def closing(self) -> list[Stage]:
        """The stages in which a ticket ends for good."""
        return [stage for stage in self.stages if stage.state == "closed"]
