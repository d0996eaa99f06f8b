"""The kinds of steps, as strict models of their JSON."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from perennial.common.rules.values.durations import LONGEST
from perennial.common.rules.values.literals import Number, Window

EXIT = "exit"
KINDS = ("wait", "condition", "split", "message", "exit")

StepId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


def _share(percent: Decimal) -> Decimal:
    if not 0 < percent <= 100 or percent != percent.quantize(Decimal("0.01")):
        raise ValueError("must be above 0 and at most 100, with two decimals at most")
    return percent


class Strict(BaseModel):
    """No coercion, no unknown members."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, serialize_by_alias=True)


class WaitStep(Strict):
    """Rests for a time."""

    id: StepId
    kind: Literal["wait"]
    for_: Window = Field(alias="for", description=f"An ISO 8601 duration, at most P{LONGEST.days}D.")
    next: StepId | None = None


class ConditionStep(Strict):
    """Asks a rule about the customer, as of the instant at which the step is due."""

    id: StepId
    kind: Literal["condition"]
    rule: dict[str, Any]
    yes: StepId | None = None
    no: StepId | None = None


class Arm(Strict):
    """A share of the customers. A control arm withholds the messages of the others, which is noted as its reason."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    percent: Annotated[Number, AfterValidator(_share)]
    next: StepId | None = None
    control: bool | None = Field(default=None, description="Without it: an arm named control, or one that exits.")


class SplitStep(Strict):
    """Draws an arm by a salted hash of journey, step and customer: the same customer gets the same arm again."""

    id: StepId
    kind: Literal["split"]
    arms: Annotated[list[Arm], Field(min_length=2, max_length=20)]

    @model_validator(mode="after")
    def _whole(self) -> "SplitStep":
        if len({arm.name for arm in self.arms}) < len(self.arms):
            raise ValueError("arms must have different names")
        if sum((arm.percent for arm in self.arms), Decimal(0)) != 100:
            raise ValueError("the percents of the arms must add up to 100")
        return self


class MessageStep(Strict):
    """Writes to the customer; goes on when the message has left, or when it is decided that it will not."""

    id: StepId
    kind: Literal["message"]
    channel: Literal["sandbox", "email"]
    subject: Annotated[str, Field(min_length=1, max_length=500)]
    body: Annotated[str, Field(min_length=1, max_length=20_000)]
    format: Literal["text", "html"] = "text"
    purpose: Literal["marketing", "transactional"] = Field(
        default="marketing", description="Transactional ones heed no unsubscription, cap or quiet hours."
    )
    next: StepId | None = None


class ExitStep(Strict):
    """Ends the journey: completed, or exited where a reason is given."""

    id: StepId
    kind: Literal["exit"]
    reason: Annotated[str, Field(min_length=1, max_length=64)] | None = None


def _kind(data: object) -> str | None:
    kind = data.get("kind") if isinstance(data, dict) else getattr(data, "kind", None)
    return f"<{kind}>" if kind in KINDS else None


Step = Annotated[
    Annotated[WaitStep, Tag("<wait>")]
    | Annotated[ConditionStep, Tag("<condition>")]
    | Annotated[SplitStep, Tag("<split>")]
    | Annotated[MessageStep, Tag("<message>")]
    | Annotated[ExitStep, Tag("<exit>")],
    Discriminator(_kind),
]
