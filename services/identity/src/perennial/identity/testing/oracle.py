"""A plain, single-threaded resolver: one event after the other, sets of names, nothing clever."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from perennial.identity.policy.rules import USER_ID, Policy

FIELDS = {"user_id": "userId", "anonymous_id": "anonymousId"}


class Sent(NamedTuple):
    """An event as a set of identifiers `kind:value`."""

    name: str
    identifiers: frozenset[str]
    at: datetime

    def body(self) -> dict[str, Any]:
        """The event that bears them."""
        body: dict[str, Any] = {"context": {"externalIds": []}}
        for identifier in sorted(self.identifiers):
            kind, value = identifier.split(":", 1)
            if kind in FIELDS and FIELDS[kind] not in body:
                body[FIELDS[kind]] = value
            elif kind == "external_id":
                namespace, _, inner = value.partition(":")
                body["context"]["externalIds"].append({"type": namespace, "id": inner})
            else:
                body["context"]["externalIds"].append({"type": kind, "id": value})
        return body


def kind_of(identifier: str) -> str:
    return identifier.split(":", 1)[0]


class Oracle:
    """Who belongs together after some events, whose event each was, and which identifiers are shared."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.customer_of: dict[str, set[str]] = {}
        self.born: set[str] = set()
        self.since: dict[str, datetime] = {}
        self.met: dict[str, set[str]] = {}
        self.shared: set[str] = set()
        self.conflicts: set[tuple[str, str, str]] = set()
        self.separations: dict[frozenset[str], int] = {}
        self.spoke: dict[str, str] = {}

    def rule_of(self, one: str) -> str:
        """`external_id:crm:7` is under the rule of `external_id:crm`, where there is one, else of `external_id`."""
        return next(name for name in (":".join(one.split(":")[:2]), kind_of(one)) if name in self.policy.rules)

    def run(self, events: Iterable[Sent]) -> "Oracle":
        for event in events:
            if event.name not in self.spoke:
                self.take(event)
        return self

    def customers(self) -> set[frozenset[str]]:
        return {frozenset(customer) for customer in self.customer_of.values()}

    def take(self, event: Sent) -> None:
        order = self.strongest_first(event.identifiers)
        alone = [one for one in order if not self.apart(one)]
        speaker = (alone or order)[0]
        self.spoke[event.name] = speaker
        for one in (speaker, *order):
            self.since.setdefault(one, event.at)
            self.customer_of.setdefault(one, {one})
        for one in order:
            mine, theirs = self.customer_of[speaker], self.customer_of[one]
            if mine is theirs or self.apart(one) or self.apart(speaker):
                continue
            reason = self.refusal(mine, theirs, event.at)
            if reason is None:
                self.join(mine, theirs)
            else:
                self.conflicts.add((one, speaker, reason))
                if reason == "two_user_ids":
                    self.meet(one, mine, theirs)
        self.born |= set(order)

    def join(self, mine: set[str], theirs: set[str]) -> None:
        mine |= theirs
        for moved in theirs:
            self.customer_of[moved] = mine

    def part(self, one: str) -> None:
        self.customer_of[one].discard(one)
        self.customer_of[one] = {one}

    def meet(self, one: str, mine: set[str], theirs: set[str]) -> None:
        after = self.policy.rules[self.rule_of(one)].shared_after
        if kind_of(one) == USER_ID or after is None:
            return
        met = self.met.setdefault(one, set())
        met |= {name for name in mine | theirs if kind_of(name) == USER_ID}
        if len(met) >= after:
            self.shared.add(one)
            self.part(one)

    def refusal(self, mine: set[str], theirs: set[str], at: datetime) -> str | None:
        for name, rule in sorted(self.policy.rules.items(), key=lambda item: item[1].rank):
            ours, others = ([one for one in side if self.rule_of(one) == name] for side in (mine, theirs))
            counted = [one for one in ours + others if rule.window is None or self.since[one] > at - rule.window]
            if ours and others and len(counted) > rule.limit:
                return "two_user_ids" if name == USER_ID else "limit"
        if any(frozenset({a, b}) in self.separations for a in mine for b in theirs):
            return "separated"
        moving = min(len(mine), len(theirs))
        risky = self.policy.approve_from is not None and moving >= self.policy.approve_from
        return "approval" if risky and mine & self.born and theirs & self.born else None

    def apart(self, one: str) -> bool:
        return one in self.shared or not self.policy.rules[self.rule_of(one)].unique

    def strongest_first(self, identifiers: Iterable[str]) -> list[str]:
        return sorted(identifiers, key=lambda one: (self.policy.rules[self.rule_of(one)].rank, one))


def largest(customers: Iterable[frozenset[str]]) -> int:
    return max(map(len, customers))
