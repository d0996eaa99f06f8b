"""What an order is worth in points by what its events state, within what caps leave of it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo
from uuid import UUID

from perennial.common.commerce import ORDER_COMPLETED
from perennial.loyalty.earning.caps import Use
from perennial.loyalty.earning.choosing import by_currency
from perennial.loyalty.earning.facts import Facts, restored
from perennial.loyalty.earning.known import Known
from perennial.loyalty.orders.facts import NOTHING, OrderEvent, Purchase, Stated
from perennial.loyalty.programme.earning import Earner, in_force


def state(earners: Sequence[Earner], events: Iterable[OrderEvent], known: Known, zone: tzinfo) -> dict[UUID, Stated]:
    """What each event that states an order's worth says of it; what caps bound is granted later."""
    stating = [event for event in events if event.what in {"completed", "updated"}]
    if any(earner.by_first_order or earner.limited for earner in earners):
        for event in stating:
            if event.what == "completed":
                known.orders.setdefault(known.owner(event.via), []).append((event.at, event.purchase_id))
    return {event.id: _stated(in_force(earners, event.at), event, known, zone) for event in stating}


def _stated(earner: Earner, event: OrderEvent, known: Known, zone: tzinfo) -> Stated:
    rules, amount = earner.by_event.get(ORDER_COMPLETED), event.amount or NOTHING
    if rules is None or earner.plain(ORDER_COMPLETED):
        return Stated(event.at, event.id, amount, earner.by_amount(ORDER_COMPLETED, event.amount))
    # Whether it is the first order is seen when it is granted its points: an update may come before the order itself.
    facts = Facts(event.via, event.at, event.source, event.properties, event.amount, zone, first_order=True)
    if not rules.plain:
        facts = known.facts(earner, facts)
    verdicts = rules.verdicts(facts)
    told = earner.told(ORDER_COMPLETED, facts, verdicts)
    points = {} if earner.limited else by_currency(earner.choose(verdicts), earner.programme.main.code)
    return Stated(event.at, event.id, amount, points, told)


def grant(
    earners: Sequence[Earner], items: Iterable[Purchase], known: Known, zone: tzinfo
) -> Mapping[UUID, Sequence[Use]]:
    """Give orders what caps leave, those that were completed first before the others; returns what has to be kept."""
    versions = {earner.programme.version: earner for earner in earners}
    made: dict[UUID, Sequence[Use]] = {}
    ready = [(item.completed.order, item) for item in items if item.completed is not None]
    for _, item in sorted(ready, key=lambda pair: pair[0]):
        stated, completed, via = item.stated, item.completed, item.via
        if stated is None or completed is None or via is None:
            continue
        made[item.id] = ()
        told = stated.told
        if told is not None and (earner := versions[told["version"]]).limited:
            first = known.first(via, completed.at, item.id)
            facts = restored({**told, "first_order": first}, via, completed.at, item.source, zone)
            room = known.room(earner, item.id, facts)
            granted = earner.choose(earner.claimed(told["claims"], first=first), room)
            item.grant(by_currency(granted, earner.programme.main.code), {**told, "first_order": first})
            made[item.id] = room.taken
        known.give(item.id, via, made[item.id])
    return made
