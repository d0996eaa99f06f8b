"""The oracle with people in it: merges, splits and sharing by hand, and their undoing, one after the other.

A customer's name is a plain map beside its set of identifiers, as identity's map is.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from perennial.identity.policy.rules import USER_ID, Policy
from perennial.identity.testing.oracle import Oracle, Sent, kind_of


@dataclass
class Parting:
    """Some were taken apart from others; from all others, where none are named. `stands` until it is undone."""

    at: int
    some: frozenset[str]
    others: frozenset[str] | None
    stands: bool = True

    def parts(self, one: str, other: str) -> bool:
        across = (one in self.some) != (other in self.some)
        return self.stands and across and (self.others is None or bool({one, other} & self.others))


@dataclass
class Merge:
    """Two customers became one; both sides as they were."""

    at: int
    kept: frozenset[str]
    given: frozenset[str]
    old_name: str
    undone: bool = False


@dataclass
class Split:
    """One customer became two; which names they were given."""

    number: int
    names: tuple[str, str]
    sides: tuple[frozenset[str], frozenset[str]]
    parting: Parting = field(repr=False)


class Model(Oracle):
    """What there is after events and decisions by hand. A decision returns why it was refused, or None."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.name: dict[str, str] = {}
        self.age: dict[str, int] = {}
        self.merges: list[Merge] = []
        self.splits: list[Split] = []
        self.partings: list[Parting] = []
        self.clock = 0

    def now(self) -> int:
        self.clock += 1
        return self.clock

    def take(self, event: Sent) -> None:
        for one in self.strongest_first(event.identifiers):
            self.age.setdefault(one, len(self.age))
            self.name.setdefault(one, one)
        super().take(event)

    def oldest(self, found: Iterable[str]) -> str:
        return min(found, key=self.age.__getitem__)

    def name_of(self, customer: Iterable[str]) -> str:
        return self.name[next(iter(customer))]

    def join(self, mine: set[str], theirs: set[str]) -> None:
        if mine & self.born and theirs & self.born:
            keep, give = self.survivor(mine, theirs)
            self.unite(keep, give)
        else:
            keep, give = (theirs, mine) if theirs & self.born else (mine, theirs)
            self.move(keep, give)

    def survivor(self, one: set[str], other: set[str]) -> tuple[set[str], set[str]]:
        if is_named(one) != is_named(other):
            return (one, other) if is_named(one) else (other, one)
        return (one, other) if self.oldest([self.name_of(one), self.name_of(other)]) in one else (other, one)

    def unite(self, keep: set[str], give: set[str]) -> None:
        self.merges.append(Merge(self.now(), frozenset(keep), frozenset(give), self.name_of(give)))
        self.move(keep, give)

    def move(self, keep: set[str], give: set[str]) -> None:
        name = self.name_of(keep)
        super().join(keep, give)
        self.name.update(dict.fromkeys(give, name))

    def part(self, one: str) -> None:
        rest = self.customer_of[one] - {one}
        super().part(one)
        if rest:
            self.partings.append(Parting(self.now(), frozenset({one}), None))
            if self.name_of(rest) == one:
                self.name.update(dict.fromkeys(rest, self.oldest(rest)))
        self.name[one] = one

    def merge(self, a: str, b: str) -> str | None:
        one, other = self.customer_of[a], self.customer_of[b]
        if one is other:
            return "same_customer"
        if is_named(one) and is_named(other):
            return "two_user_ids"
        self.by_hand(*self.survivor(one, other))
        return None

    def by_hand(self, keep: set[str], give: set[str]) -> None:
        for a in keep:
            for b in give:
                self.separations.pop(frozenset({a, b}), None)
        self.unite(keep, give)

    def undo(self, number: int) -> str | None:
        merge = self.merges[number]
        if merge.undone:
            return "already_undone"
        concerned = {id(self.customer_of[one]): self.customer_of[one] for one in merge.kept | merge.given}
        divided = []
        for customer in concerned.values():
            leaving = {
                one
                for one in customer & merge.given
                if any(self.together(one, kept, merge.at) for kept in customer & merge.kept)
            }
            if leaving:
                divided.append(self.divide(customer, leaving, merge.old_name, number))
        if not divided:
            return "nothing_to_undo"
        merge.undone = True
        moved = frozenset[str]().union(*(sides[1] for sides in divided))
        stayed = frozenset[str]().union(*(sides[0] for sides in divided))
        self.partings.append(Parting(self.now(), moved, stayed))
        return None

    def together(self, one: str, other: str, since: int) -> bool:
        return not any(parting.at > since and parting.parts(one, other) for parting in self.partings)

    def divide(
        self, customer: set[str], leaving: set[str], old_name: str | None, cause: int
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Who stays, and who moves: the side without the founding identifier."""
        root = self.name_of(customer)
        moving = customer - leaving if root in leaving else set(leaving)
        staying = customer - moving
        name = old_name if old_name is not None and old_name in moving else self.oldest(moving)
        for found in (staying, moving):
            self.customer_of.update(dict.fromkeys(found, found))
        self.name.update(dict.fromkeys(moving, name))
        pairs = [{root, one} for one in moving] + [{name, one} for one in staying]
        self.separations.update(dict.fromkeys(map(frozenset, pairs), cause))
        return frozenset(staying), frozenset(moving)

    def split(self, any_of: str, leaving: set[str]) -> str | None:
        customer = set(self.customer_of[any_of])
        if not leaving <= customer:
            return "not_of_customer"
        if leaving == customer:
            return "nothing_remains"
        number = -1 - len(self.splits)
        root = self.name_of(customer)
        sides = self.divide(customer, leaving, None, number)
        parting = Parting(self.now(), frozenset(leaving), frozenset(customer - leaving))
        self.partings.append(parting)
        self.splits.append(Split(number, (root, self.name_of(sides[1])), sides, parting))
        return None

    def unsplit(self, number: int) -> str | None:
        split = self.splits[number]
        if not split.parting.stands:
            return "already_undone"
        today = []
        for name, side in zip(split.names, split.sides, strict=True):
            left = [one for one in (name, *sorted(side, key=self.age.__getitem__)) if one not in self.shared]
            if not left:
                return "nothing_to_undo"
            today.append(self.customer_of[left[0]])
        keep, give = today
        if keep is give:
            return "same_customer"
        if is_named(keep) and is_named(give):
            return "two_user_ids"
        if any(self.separations.get(frozenset({a, b}), split.number) != split.number for a in keep for b in give):
            return "separated"
        self.by_hand(keep, give)
        split.parting.stands = False
        return None

    def share(self, one: str) -> str | None:
        if kind_of(one) == USER_ID:
            return "not_shareable"
        if one in self.shared:
            return "already_shared"
        self.shared.add(one)
        self.part(one)
        return None

    def unshare(self, one: str) -> str | None:
        if one not in self.shared:
            return "not_shared"
        self.shared.discard(one)
        self.met.pop(one, None)
        return None


def is_named(customer: Iterable[str]) -> bool:
    return any(kind_of(one) == USER_ID for one in customer)
