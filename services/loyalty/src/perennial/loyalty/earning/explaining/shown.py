"""Explanations as somebody may see them."""

from decimal import Decimal

from perennial.common import masks, prose
from perennial.common.auth import Principal
from perennial.common.rules import Explanation
from perennial.loyalty.earning.explaining.answers import Answer
from perennial.loyalty.earning.explaining.previewing import Preview
from perennial.loyalty.earning.explaining.schemas import (
    BringsOut,
    CauseOut,
    ExplainedOut,
    FactorOut,
    LotOut,
    PreviewOut,
    ReasonOut,
    RefundOut,
    RuleOut,
    UseOut,
)
from perennial.loyalty.earning.explaining.service import Cause, Explained


def preview(who: Principal, found: Preview) -> PreviewOut:
    """What would be earned."""
    return PreviewOut(
        customer_id=found.customer_id, version=found.version, tier=found.tier,
        points=[BringsOut.model_validate(item) for item in found.points],
        rules=[_rule(who, item) for item in found.rules],
    )  # fmt: skip


def cause(who: Principal, found: Cause) -> CauseOut:
    """What was asked about."""
    amount = found.told.get("amount")
    return CauseOut(
        kind=found.kind, name=found.name, source=found.source, reference=prose.reference(who, found.reference),
        at=found.at, version=found.version, amount=None if amount is None else Decimal(amount),
        tier=found.told.get("tier"), first_order=found.told.get("first_order"), streak=found.told.get("streak"),
        missing=found.missing, rules=[_rule(who, item) for item in found.rules],
        lots=[LotOut.model_validate(item) for item in found.lots],
        refunds=[RefundOut.model_validate(item) for item in found.refunds], waived=dict(found.waived),
    )  # fmt: skip


def explained(who: Principal, found: Explained) -> ExplainedOut:
    """A line of the ledger."""
    line = found.posting
    return ExplainedOut(
        id=line.id, kind=line.kind, currency=line.currency, at=line.at, points=line.points, pending=line.pending,
        reason=prose.masked(who, line.reason), reference=prose.reference(who, line.reference),
        lots=[LotOut.model_validate(item) for item in found.lots],
        uses=[UseOut.model_validate(item) for item in found.uses],
        cause=None if found.cause is None else cause(who, found.cause),
    )  # fmt: skip


def _rule(who: Principal, item: Answer) -> RuleOut:
    return RuleOut(
        rule=item.rule, currency=item.currency, because=item.because, per=item.per, units=item.units, rate=item.rate,
        factors=[FactorOut(name=name, factor=factor) for name, factor in item.factors], claimed=item.claimed,
        points=item.points, group=item.group, condition=None if item.reason is None else _reason(who, item.reason),
    )  # fmt: skip


def _reason(who: Principal, found: Explanation) -> ReasonOut:
    return ReasonOut(
        pointer=found.pointer, phrase=found.phrase, holds=found.holds, value=_value(who, found),
        parts=[_reason(who, part) for part in found.parts],
    )  # fmt: skip


def _value(who: Principal, found: Explanation) -> object:
    """What a leaf saw of the event; a birthday is told to whoever sees birthdays."""
    trait = getattr(found.rule, "trait", "")
    if found.value is not None and trait.startswith("$birthday") and not masks.sees(who, "birthday"):
        return prose.HIDDEN
    return prose.within(who, masks.compared_value(who, found.rule, found.value))
