"""Benefits as data: what a tier gives, each of a kind with a value of its own; whoever grants it hears of it."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from perennial.common.contracts.loyalty import Benefit
from perennial.common.web.fields import Whole
from perennial.loyalty.fields import Name

CENTS = r"^[0-9]{1,9}(\.[0-9]{1,2})?$"


def _decimal(most: str, pattern: str, least: str = "minimum") -> WithJsonSchema:
    options: list[dict[str, Any]] = [
        {"type": "number", least: 0, "maximum": int(most)},
        {"type": "string", "pattern": pattern},
    ]
    return WithJsonSchema({"anyOf": options}, mode="validation")


Amount = Annotated[Decimal, Field(ge=0, lt=10**9, decimal_places=2), _decimal("999999999", CENTS)]
Percent = Annotated[
    Decimal, Field(gt=0, le=100, decimal_places=2),
    _decimal("100", r"^(?=.*[1-9])([0-9]{1,2}(\.[0-9]{1,2})?|100)$", "exclusiveMinimum"),
]  # fmt: skip


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$", description="Names it; unique within a tier.")
    label: dict[Literal["en", "zh"], Name] = Field(default_factory=dict)

    def held(self) -> Benefit:
        """As others are told of it."""
        return Benefit.model_validate(self.model_dump(exclude={"label"}))


class Discount(_Given):
    """So much off what is bought."""

    kind: Literal["discount"]
    percent: Percent


class FreeShipping(_Given):
    """No postage for orders from an amount on."""

    kind: Literal["free_shipping"]
    amount: Amount = Decimal(0)


class BirthdayGift(_Given):
    """Points of a currency, or a gift by its name, once a year; whoever gives it knows the day."""

    kind: Literal["birthday_gift"]
    points: Whole | None = Field(default=None, ge=1, le=10**9)
    name: Name | None = None


class EarlyAccess(_Given):
    """So many hours before everybody else."""

    kind: Literal["early_access"]
    hours: Whole = Field(ge=1, le=8760)


class ServiceLevel(_Given):
    """How service treats a request: the green channel."""

    kind: Literal["service_level"]
    name: Name = "green"


class Advisor(_Given):
    """A person, or a team, who is there for the customer."""

    kind: Literal["advisor"]
    name: Name | None = None


class Other(_Given):
    """What none of these is, in the shop's own words."""

    kind: Literal["other"]
    name: Name


Given = Annotated[
    Discount | FreeShipping | BirthdayGift | EarlyAccess | ServiceLevel | Advisor | Other, Field(discriminator="kind")
]
