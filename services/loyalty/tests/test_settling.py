"""Which lots are spent: compared with a point-by-point replay."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from perennial.loyalty.points.settling import NEVER, Source, Spending, allocate, lent, uncovered

START = datetime(2026, 1, 1, tzinfo=UTC)
days = st.integers(0, 30).map(lambda day: START + timedelta(days=day))
ids = st.integers(1, 2**64).map(lambda number: UUID(int=number))
lots = st.lists(
    st.builds(Source, id=ids, points=st.integers(1, 20), active_at=days, expires_at=st.none() | days),
    max_size=8,
    unique_by=lambda lot: lot.id,
)
spendings = st.lists(
    st.builds(Spending, id=ids, points=st.integers(1, 30), at=days), max_size=8, unique_by=lambda spending: spending.id
)


def _reaches(lot: Source, spending: Spending) -> bool:
    """Whether a lot had not expired when the spending was made, or came only after it."""
    return lot.active_at > spending.at or (lot.expires_at or NEVER) > spending.at


def _naive(lots: list[Source], spendings: list[Spending]) -> dict[tuple[UUID, UUID], int]:
    """Every point by itself, every moment looked at anew."""
    left = {lot.id: lot.points for lot in lots}
    owed = {spending.id: spending.points for spending in spendings}
    uses: dict[tuple[UUID, UUID], int] = {}
    moments = sorted({lot.active_at for lot in lots} | {spending.at for spending in spendings})
    for moment in moments:
        while True:
            open_lots = [lot for lot in lots if left[lot.id] and lot.active_at <= moment]
            due = [item for item in spendings if owed[item.id] and item.at <= moment]
            if not due:
                break
            # A new lot pays what was owed before it can be chosen by what is spent at the same moment.
            spending = min(due, key=lambda item: (item.at, item.id))
            open_lots = [lot for lot in open_lots if _reaches(lot, spending)]
            if not open_lots:
                break
            fresh = [lot for lot in open_lots if lot.active_at == moment and spending.at < moment]
            lot = (
                min(fresh, key=lambda item: item.id)
                if fresh
                else min(open_lots, key=lambda item: (item.expires_at or NEVER, item.active_at, item.id))
            )
            left[lot.id] -= 1
            owed[spending.id] -= 1
            uses[spending.id, lot.id] = uses.get((spending.id, lot.id), 0) + 1
    return uses


@given(lots, spendings)
def test_like_point_by_point(lots: list[Source], spendings: list[Spending]) -> None:
    assert allocate(lots, spendings) == _naive(lots, spendings)


@given(lots, spendings)
def test_the_order_of_asking_does_not_matter(lots: list[Source], spendings: list[Spending]) -> None:
    assert allocate(lots, spendings) == allocate(list(reversed(lots)), list(reversed(spendings)))


@given(lots, spendings)
def test_nothing_remains_while_something_is_owed(lots: list[Source], spendings: list[Spending]) -> None:
    uses = allocate(lots, spendings)
    left = {lot.id: lot.points - sum(points for (_, key), points in uses.items() if key == lot.id) for lot in lots}
    assert all(points >= 0 for points in left.values())
    for spending in spendings:
        owed = spending.points - sum(points for (key, _), points in uses.items() if key == spending.id)
        assert owed >= 0
        assert not owed or not any(left[lot.id] for lot in lots if _reaches(lot, spending))


def test_a_lot_that_has_expired_is_not_spent() -> None:
    lot = Source(UUID(int=1), 10, START, START + timedelta(days=5))
    early, late = (Spending(UUID(int=2 + day), 3, START + timedelta(days=day)) for day in (4, 5))
    assert allocate([lot], [early, late]) == {(early.id, lot.id): 3}


@given(lots, spendings, st.sets(st.integers(0, 7)))
def test_what_one_side_owes_is_what_it_used_of_the_other_and_cannot_pay(
    lots: list[Source], spendings: list[Spending], others: set[int]
) -> None:
    """Torn in two, no point is owed that was not used, and none beyond what is missing."""
    lender = UUID(int=99)
    gone = {lot.id: lender for index, lot in enumerate(lots) if index in others}
    before = allocate(lots, spendings)
    after = allocate([lot for lot in lots if lot.id not in gone], spendings)
    missing = uncovered(spendings, after) - uncovered(spendings, before)
    owed = lent(spendings, before, gone, missing)
    crossing = sum(points for (_, lot), points in before.items() if lot in gone)
    assert sum(owed.values()) == min(crossing, max(0, missing))
    for (spending, whom), points in owed.items():
        assert whom == lender
        assert 0 < points <= sum(used for (key, lot), used in before.items() if key == spending and lot in gone)
