"""What a programme says: earn rules, tiers, expiry. The same on the wire and in its table."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from perennial.common.web.fields import Whole
from perennial.loyalty.earning.checkin.definition import CheckIn
from perennial.loyalty.earning.content.definition import ContentRule
from perennial.loyalty.earning.definition import CurrencyCap, EarnRule
from perennial.loyalty.fields import POINTS, Code, Name
from perennial.loyalty.memberships.definition import Plan
from perennial.loyalty.programme.expiry import Expiry
from perennial.loyalty.referrals.definition import Referral, SplitPolicy
from perennial.loyalty.tiers.benefits import Amount, Given
from perennial.loyalty.tiers.tiering import Tiering

__all__ = ["Currency", "Definition", "EarnRule", "Programme", "TierRule"]


class Currency(BaseModel):
    """What customers collect; whole units, for stored credit the smallest of its money."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: Code = POINTS
    label: dict[Literal["en", "zh"], Name] = Field(default_factory=dict)
    kind: Literal["points", "growth", "credit"] = Field(
        default="points", description="Growth value counts towards tiers and is never spent."
    )
    pending_days: Whole = Field(default=0, ge=0, le=365, description="How long it waits before it can be spent.")
    expiry: Expiry = Expiry()
    pending_until: Literal["earned", "delivered"] = Field(
        default="earned", description="What an order earns waits the `pending_days` from then on, or until released."
    )
    pending_at_most_days: Whole | None = Field(
        default=None, ge=1, le=3660, description="An order that nobody says was delivered waits so long from its time."
    )
    refund_policy: Literal["unlimited", "within_balance", "only_pending"] = Field(
        default="unlimited",
        description="What a refund takes back of what the order earned: all, below zero if it was spent; what the "
        "customer still has; or what cannot be spent yet. What it leaves then is left for good.",
    )

    @model_validator(mode="after")
    def _waits(self) -> Self:
        if self.pending_at_most_days is not None and self.pending_until == "earned":
            raise ValueError("pending_at_most_days: has a meaning for delivered alone")
        if self.refund_policy == "only_pending" and not self.pending_days and self.pending_until == "earned":
            raise ValueError("refund_policy: nothing is ever pending, so only_pending would take nothing back")
        return self

    @property
    def slides(self) -> bool:
        """Whether what the customer does puts off the expiry."""
        return self.expiry.kind == "sliding"


class TierRule(BaseModel):
    """A tier, what it takes within the period, any of it being enough, and what it gives."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    threshold: Whole | None = Field(default=None, ge=0, le=10**12, description="Points of the tiers' currency.")
    spend: Amount | None = Field(default=None, description="Money paid for orders and not given back.")
    orders: Whole | None = Field(default=None, ge=1, le=10**6, description="Orders paid for and not given back whole.")
    benefits: list[Given] = Field(default_factory=list, max_length=20)

    @model_validator(mode="after")
    def _codes_are_unique(self) -> Self:
        codes = [benefit.code for benefit in self.benefits]
        if len(set(codes)) < len(codes):
            raise ValueError("benefits: codes must be unique")
        return self


class Definition(BaseModel):
    """What a version of the programme says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    currencies: list[Currency] = Field(
        default_factory=lambda: [Currency()], min_length=1, max_length=10, description="The first is the main one."
    )
    earn_rules: list[EarnRule] = Field(max_length=50)
    earn_caps: list[CurrencyCap] = Field(default_factory=list, max_length=10)
    content: list[ContentRule] = Field(default_factory=list, max_length=20, description="What the community makes.")
    check_in: CheckIn | None = Field(default=None, description="Null: there is nothing for checking in.")
    tiers: list[TierRule] = Field(min_length=1, max_length=20, description="Ascending; the first from 0 points.")
    tier_window_days: Whole = Field(default=365, ge=1, le=3660, description="For the rolling period.")
    tiering: Tiering = Tiering()
    expiry_notices: list[Annotated[Whole, Field(ge=1, le=365)]] = Field(
        default=[30, 7], max_length=10, description="So many days before points expire it is said."
    )
    tier_currency: Code | None = Field(default=None, description="What tiers rest on; null: the first currency.")
    plans: list[Plan] = Field(default_factory=list, max_length=20, description="Memberships that are paid for.")
    referral: Referral | None = Field(default=None, description="Null: nobody is rewarded for friends.")
    split_policy: SplitPolicy = "debt"

    @model_validator(mode="after")
    def _tiers_ascend(self) -> Self:
        first, *higher = self.tiers
        thresholds = [tier.threshold for tier in self.tiers if tier.threshold is not None]
        if first.threshold != 0 or thresholds != sorted(set(thresholds)):
            raise ValueError("tiers: thresholds must ascend from 0")
        if first.spend is not None or first.orders is not None:
            raise ValueError("tiers: the first takes nothing but 0 points")
        for way in ("spend", "orders"):
            asked = [value for tier in higher if (value := getattr(tier, way)) is not None]
            if asked != sorted(set(asked)) or 0 in asked:
                raise ValueError(f"tiers: {way} must ascend, above 0")
        for tier in higher:
            if tier.threshold is None and tier.spend is None and tier.orders is None:
                raise ValueError(f"tiers: no way leads to {tier.name}: give it a threshold, spend or orders")
        return self

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        tiers = [tier.name for tier in self.tiers]
        earners = [rule.name for rule in self.earn_rules]
        codes = [currency.code for currency in self.currencies]
        kinds = [rule.kind for rule in self.content]
        events = [name for rule in self.content for name in (rule.event, *rule.decisions)]
        if len(set(events)) < len(events):
            raise ValueError("content: an event is about one kind")
        for field, names in (
            ("tiers", tiers), ("earn_rules", earners), ("currencies", codes), ("content", kinds),
        ):  # fmt: skip
            if len(set(names)) < len(names):
                raise ValueError(f"{field}: names must be unique")
        unknown = {name for rule in self.earn_rules for name in rule.multipliers} - set(tiers)
        if unknown:
            raise ValueError(f"earn_rules: multipliers name unknown tiers: {', '.join(sorted(unknown))}")
        return self

    @model_validator(mode="after")
    def _currencies_are_known(self) -> Self:
        codes = {currency.code for currency in self.currencies}
        for rule in self.earn_rules:
            if rule.currency is not None and rule.currency not in codes:
                raise ValueError(f"earn_rules: {rule.name} earns an unknown currency: {rule.currency}")
        for cap in self.earn_caps:
            if cap.currency is not None and cap.currency not in codes:
                raise ValueError(f"earn_caps: there is no currency {cap.currency}")
        if self.check_in is not None and self.check_in.currency not in {None, *codes}:
            raise ValueError(f"check_in: there is no currency {self.check_in.currency}")
        if self.tier_currency is not None and self.tier_currency not in codes:
            raise ValueError(f"tier_currency: there is no currency {self.tier_currency}")
        return self

    @model_validator(mode="after")
    def _plans_and_referral_fit(self) -> Self:
        codes, skus = [plan.code for plan in self.plans], [sku for plan in self.plans for sku in plan.skus]
        if len(set(codes)) < len(codes) or len(set(skus)) < len(skus):
            raise ValueError("plans: codes and skus must be unique")
        for plan in self.plans:
            given = [benefit.code for benefit in plan.benefits]
            if len(set(given)) < len(given):
                raise ValueError(f"plans: codes of the benefits of {plan.code} must be unique")
        sides = (self.referral.referrer, self.referral.friend) if self.referral else ()
        known = {currency.code for currency in self.currencies}
        for side in sides:
            if side.currency is not None and side.currency not in known:
                raise ValueError(f"referral: there is no currency {side.currency}")
        return self

    @property
    def main(self) -> Currency:
        """The currency meant where none is named."""
        return self.currencies[0]

    def currency(self, code: str) -> Currency:
        """The currency of that code; one that this version does not know yet is like the main one."""
        for currency in self.currencies:
            if currency.code == code:
                return currency
        return self.main

    @property
    def tiers_rest_on(self) -> str:
        """The code of the currency that counts towards tiers."""
        return self.tier_currency or self.main.code


class Programme(Definition):
    """A version of the programme."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int
    valid_from: datetime | None = Field(description="Orders from then on earn by it; null: from the beginning.")
