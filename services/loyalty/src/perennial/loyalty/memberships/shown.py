"""Memberships as they are shown: of the moment, whether or not the clock's turn has come."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from uuid import UUID

from perennial.common.contracts.base import utc_now
from perennial.common.db import ReadSession, settings_of
from perennial.loyalty.memberships import queries, savings, service
from perennial.loyalty.memberships.course import MEMBER, Course, Heard, Run, due
from perennial.loyalty.memberships.definition import Plan
from perennial.loyalty.memberships.plans import Plans
from perennial.loyalty.memberships.schemas import (
    MembershipOut,
    PlanOut,
    QuoteOut,
    SavedOut,
    SavingsOut,
    TellingOut,
)
from perennial.loyalty.programme import service as programme

MOST = 200


@dataclass(frozen=True)
class Shown:
    """What is shown of one customer."""

    memberships: list[MembershipOut]
    savings: SavingsOut
    plans: list[PlanOut]
    heard: list[TellingOut]


async def of_customer(session: ReadSession, customer: UUID, now: datetime | None = None) -> Shown:
    """All that is shown of a customer's memberships."""
    now, zone, plans = now or utc_now(), settings_of(session).zone, await service.plans_of(session)
    courses = (await service.courses(session, [customer], plans, now)).get(customer, [])
    current = (await programme.current(session)).plans
    worth = {plan.currency: plan.shipping_worth for plan in current if plan.shipping_worth}
    year = savings.calendar_year(now, zone)
    saved = await savings.of_year(session, customer, courses, worth, year)
    heard = (await queries.heard_of(session, [customer])).get(customer, [])
    return Shown(
        [_membership(course, course.run, plans, now, zone) for course in courses if course.run],
        SavingsOut(year=year[0].astimezone(zone).year, items=[_saved(item) for item in saved]),
        [_plan(plan) for plan in current if plan.offered],
        [_telling(item, courses) for item in sorted(heard, key=lambda item: item.order, reverse=True)[:MOST]],
    )


def _membership(course: Course, run: Run, plans: Plans, now: datetime, zone: tzinfo) -> MembershipOut:
    rules, status = plans.at(course.plan, now), run.status(now)
    member = status in MEMBER
    return MembershipOut(
        plan=course.plan, name=_name(rules), status=status, member=member, since=run.since,
        until=run.until, ends_at=run.ends_at, renews=run.ended_at is None and run.cancelled_at is None,
        payment_failed_at=run.failed_at, refund_due=course.refund_due, currency=course.money,
        refund_now=_refund(run, rules, now, zone) if member else None,
        benefits=rules.benefits if rules and member else [],
    )  # fmt: skip


def _refund(run: Run, rules: Plan | None, now: datetime, zone: tzinfo) -> QuoteOut | None:
    quotes = due(run, now, zone)
    if rules is None or rules.refund == "none" or not quotes:
        return None
    amount = sum((item.amount for item in quotes), Decimal(0))
    days, of_days = sum(item.days for item in quotes), sum(item.of_days for item in quotes)
    return QuoteOut(amount=amount, currency=quotes[-1].money, days=days, of_days=of_days) if amount else None


def _saved(item: savings.Saved) -> SavedOut:
    return SavedOut(
        currency=item.money, discount=item.discount, shipping=item.shipping, total=item.discount + item.shipping,
        paid=item.paid,
    )  # fmt: skip


def _plan(plan: Plan) -> PlanOut:
    return PlanOut(
        code=plan.code, name=_name(plan), price=plan.price, currency=plan.currency, period=plan.period,
        trial=plan.trial, benefits=plan.benefits,
    )  # fmt: skip


def _name(plan: Plan | None) -> dict[str, str]:
    return {str(language): said for language, said in plan.name.items()} if plan else {}


def _telling(item: Heard, courses: Sequence[Course]) -> TellingOut:
    mine = [course for course in courses if item.plan in {course.plan, ""}]
    reasons = [course.ignored.get(item.id) for course in mine]
    return TellingOut(
        at=item.at, kind=item.kind, plan=item.plan, payment=item.payment, amount=item.amount, currency=item.money,
        ignored=reasons[0] if reasons and all(reasons) else None,
    )  # fmt: skip
