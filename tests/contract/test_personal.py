"""Every text of every contract is judged: marked as personal, or known to say nothing about anybody."""

from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
import pytest
from pydantic import BaseModel

from perennial.common.contracts import PRODUCERS, catalogue
from perennial.common.contracts.base import Mark
from perennial.common.contracts.gateway import EventsAccepted
from perennial.common.contracts.identity import EventsResolved

HARMLESS = (bool, int, float, datetime, UUID, NoneType, Enum)
MARKS = set(get_args(Mark))
# Names that an operator gave, and words of ours. A text that a person wrote, or that is about one, is not for here.
REVIEWED = {
    *(f"{producer}.erasure.completed.v1 tables.{name}" for producer in PRODUCERS for name in ("table", "because")),
    *(f"profile.consents.changed.v1 statements.{name}" for name in ("purpose", "channel", "state")),  # words of a list
    "campaigns.enrolment.ended.v1 reason",  # `completed`, or the journey's own word
    "campaigns.enrolment.ended.v1 step",
    "campaigns.message.sent.v1 channel",
    "campaigns.message.sent.v1 step",
    "campaigns.message.suppressed.v1 channel",
    "campaigns.message.suppressed.v1 reason",  # one of a list
    "campaigns.message.suppressed.v1 step",
    "identity.customer.merged.v1 kind",
    "identity.customer.separated.v1 cause",
    "identity.identifiers.assigned.v1 assignments.kind",
    *(
        f"{producer}.intake.measured.v1 {name}"  # sources and words of ours
        for producer in ("gateway", "identity")
        for name in ("counts.source", "counts.outcome", "waiting.source", "waiting.name")
    ),
    "integrations.webhook.disabled.v1 reason",  # one of a list
    "loyalty.accounts.changed.v1 accounts.currency",  # a programme's words
    "loyalty.expiry.announced.v1 currency",
    *(f"loyalty.points.{verb}.v1 currency" for verb in ("earned", "returned", "reversed", "spent")),
    "loyalty.memberships.changed.v1 memberships.plan",  # a programme's words
    "loyalty.memberships.changed.v1 memberships.status",
    *(f"loyalty.membership.changed.v1 {name}" for name in ("money", "plan", "previous", "refund_due", "status")),
    "loyalty.referral.ended.v1 outcome",  # words of a list
    "loyalty.referral.suspected.v1 reasons",
    "loyalty.split.settled.v1 currency",
    "loyalty.split.settled.v1 outcome",
    *(
        f"loyalty.redemption.{verb}.v1 {name}"  # prices, words of a list, what the shop calls it
        for verb in ("reserved", "confirmed", "fulfilled", "cancelled", "expired")
        for name in ("amount", "currency", "kind", "money", "reward_name")
    ),
    *(
        f"loyalty.{said}.v1 {name}"  # a programme's words and figures
        for said, where in (
            ("benefit.granted", "benefit."),
            ("benefit.revoked", "benefit."),
            ("benefits.changed", "customers.benefits."),
        )
        for name in (f"{where}{field}" for field in ("amount", "code", "kind", "name", "percent"))
    ),
    "loyalty.benefit.granted.v1 held_by",
    "loyalty.benefit.granted.v1 origin",
    "loyalty.benefit.revoked.v1 origin",
    "loyalty.benefits.changed.v1 customers.held_by",
    "loyalty.benefits.changed.v1 customers.origin",
    "loyalty.tier.changed.v1 previous",
    *(f"profile.traits.defined.v1 traits.{name}" for name in ("key", "type", "values")),  # the schema, of nobody
    "loyalty.tier.changed.v1 tier",
    "loyalty.tiers.changed.v1 tiers.tier",
    *(f"profile.quality.threshold_crossed.v1 {name}" for name in ("measure", "source", "trait")),
    "profile.stage.changed.v1 ladder",
    "profile.stage.changed.v1 previous",
    "profile.stage.changed.v1 stage",
    "profile.stages.changed.v1 customers.ladder",
    "profile.stages.changed.v1 customers.stage",
    "profile.tags.changed.v1 customers.added",
    "profile.tags.changed.v1 customers.removed",
    "profile.tags.changed.v1 customers.tags",
    *(
        f"{producer}.rules.changed.v1 rules.{name}"  # names that staff gave, and words of ours
        for producer in ("campaigns", "profile", "tickets")
        for name in ("kind", "id", "name", "state")
    ),
    "segments.membership.entered.v1 segment_name",
    "segments.membership.exited.v1 segment_name",
    "segments.memberships.changed.v1 memberships.segment_name",
    *(
        f"tickets.ticket.{verb}.v1 {name}"
        for verb in ("opened", "assigned", "moved", "closed", "breached", "rated")
        for name in ("type", "stage", "priority")
    ),
    "tickets.ticket.breached.v1 target",
    "tickets.ticket.moved.v1 previous",
}
# The two hot streams carry tracking events whole. They never leave by a webhook; who reads one of them back is shown
# `masks.body`, `masks.properties` and `masks.traits` of it.
HOT = {
    "EventsAccepted": {"source", "events.message_id", "events.type", "events.name", "events.body"},
    "EventsResolved": {"events.source", "events.message_id", "events.type", "events.name", "events.body"},
}


def held(annotation: Any) -> Iterator[Any]:
    """The types that a field can hold, without their wrappings."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from held(get_args(annotation)[0])
    elif origin in {Union, UnionType, list, tuple, frozenset, set}:
        for inner in get_args(annotation):
            yield from held(inner)
    else:
        yield origin or annotation


def fields(model: type[BaseModel], where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every field, at every depth: its path, its mark, and what it holds."""
    for name, info in model.model_fields.items():
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        for inner in held(info.annotation):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from fields(inner, f"{where}{name}.")
            else:
                yield f"{where}{name}", extra.get("x-personal"), inner


def is_harmless(held: Any) -> bool:
    return isinstance(held, type) and issubclass(held, HARMLESS)


def test_every_field_that_could_hold_something_personal_is_judged() -> None:
    judged = set()
    for subject, contract in catalogue().items():
        for path, mark, inner in fields(contract):
            if mark is not None:
                assert mark in MARKS, f"{subject} {path}: the mark {mark} is not known"
            elif not is_harmless(inner):
                judged.add(f"{subject} {path}")
    assert judged - REVIEWED == set(), "judge them: `personal(…)` on the field, or REVIEWED if nobody is told of"
    assert set() == REVIEWED - judged, "they are gone, or marked"


@pytest.mark.parametrize("struct", [EventsAccepted, EventsResolved])
def test_the_hot_streams_hold_what_was_judged(struct: type[msgspec.Struct]) -> None:
    def texts(model: type[msgspec.Struct], where: str = "") -> Iterator[str]:
        for name, hint in get_type_hints(model, include_extras=True).items():
            for inner in held(hint):
                if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                    yield from texts(inner, f"{where}{name}.")
                elif not is_harmless(inner):
                    yield f"{where}{name}"

    assert set(texts(struct)) == HOT[struct.__name__]


def test_an_unmarked_text_is_noticed() -> None:
    class Note(BaseModel):
        text: dict[str, list[str]] | None = None
        many: list[int] = []

    assert [(path, mark, is_harmless(inner)) for path, mark, inner in fields(Note)] == [
        ("text", None, False),
        ("text", None, True),
        ("many", None, True),
    ]
