"""The closures, the SQL and a naive oracle give one answer, and no answer changes before `next_flip`."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from perennial.common import rules
from perennial.common.rules import Occurrence, View
from perennial.common.rules.facts import EventFact, TraitFact, load_views, record_events, record_traits
from perennial.common.rules.turning import Turn, stays, turns

Naive = Callable[..., bool]

EXAMPLES = int(os.environ.get("PERENNIAL_EXAMPLES", "40"))
NOW = datetime(2026, 6, 1, 12, 0, 0, 250_000, tzinfo=UTC)
DAY = timedelta(days=1)
SPANS = {"PT1S": timedelta(seconds=1), "P1D": DAY, "P30D": 30 * DAY}
OFFSETS = [sign * span + tick for span in (timedelta(), *SPANS.values()) for sign in (-1, 1)
           for tick in (timedelta(), timedelta(microseconds=1), timedelta(microseconds=-1))]  # fmt: skip
INSTANTS = [NOW + offset for offset in OFFSETS]
SEGMENTS = [UUID(int=n) for n in (1, 2)]
CUSTOMERS = [UUID(int=n) for n in (100, 101)]
VIAS = [*CUSTOMERS, UUID(int=102), UUID(int=103)]


def spellings(at: datetime) -> list[str]:
    east = at.astimezone(datetime.fromisoformat("2026-01-01T00:00:00+08:00").tzinfo)
    return [
        at.isoformat().replace("+00:00", "Z"),
        at.isoformat(" ").removesuffix("+00:00"),
        east.isoformat(timespec="microseconds"),
        east.isoformat(timespec="microseconds").replace("+08:00", "999+0800"),
        at.date().isoformat(),
    ]


WORDS = ["", "a", "pro", "PRO", "a%b_c\\d", "a*b?c", "中文标签", "trüe", "true", "null", " pro", "pro\n", "5",
         "2026-13-01", "2026-02-30", "2026-05-31", "1800-01-01T00:00", "2999-12-31T23:59:59.999999999+14:59",
         "2026-06-01T24:00:00Z"]  # fmt: skip
NUMERALS = [
    "5",
    "5.0",
    " 5 ",
    "+5.",
    ".5",
    "-0",
    "1e3",
    "5\n",
    "٥",
    "9" * 30,
    "9" * 31,
    "1_0",
    "0x1",
    "NaN",
    "Infinity",
]
NUMBERS = [0, 1, 5, -5, 100, Decimal("0.1"), Decimal("0.2"), Decimal("0.3"), Decimal("5.00"), Decimal("1e-20"),
           Decimal("-0.0"), 10**29, 10**30, 10**40, Decimal("1E+5"), 2.5]  # fmt: skip
dates = st.sampled_from(INSTANTS).map(spellings).flatmap(st.sampled_from)
scalars = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(NUMERALS),
    st.sampled_from(NUMBERS),
    st.booleans(),
    dates,
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
)
parts = st.dictionaries(st.sampled_from(["price", "category", "a.b"]), scalars | st.none(), max_size=3)
places = st.fixed_dictionaries(
    {},
    optional={
        name: st.sampled_from([0, 31.2304, "31.2304", 121.4737, -89.9999999, 90, 180, -180, 179.99, 90.01, None, "x"])
        for name in ("latitude", "lat", "longitude", "lng", "lon")
    },
)
values = st.one_of(
    places, st.sampled_from(["02-29", "--06-01", "1990-06-02", "2000-02-29", "1990-05-31T23:00:00-11:00", "06-31"]),
    scalars, st.none(), dates, st.lists(scalars | st.none() | parts, max_size=3),
    st.dictionaries(st.sampled_from(["city", "tags", "at"]), scalars | st.lists(scalars, max_size=2), max_size=3),
)  # fmt: skip
properties = st.fixed_dictionaries(
    {},
    optional={
        "total": st.sampled_from(NUMBERS) | scalars | st.none(),
        "due": dates,
        "products": st.lists(parts | scalars, max_size=3) | scalars,
    },
)

literal_numbers = st.sampled_from([0, 1, 5, -5, 0.1, 0.5, 0.3, 2.5, 100, 10**29, 99999])
literal_scalars = st.one_of(st.sampled_from([*WORDS, "5", "99"]), literal_numbers, st.booleans())
words = st.sampled_from([word for word in WORDS if word] + ["o", "%", "_", "\\"])
patterns = st.lists(st.sampled_from(["*", "?", "p", "ro", "%", "_", "\\", "a", "5", ".", "签"]), min_size=1, max_size=6)
expressions = st.lists(
    st.sampled_from(["p", "ro", "5+", ".", "[a-z]*", r"\d", "(?:a|o)?", "签", "^", "$"]), min_size=1, max_size=4
)
units = st.sampled_from(["day", "week", "month", "quarter", "year"])
calendars = st.builds(
    lambda kind, unit, count: {kind: unit, **count},
    st.sampled_from(["this", "last"]),
    units,
    st.just({}) | st.integers(1, 30).map(lambda count: {"count": count}),
)
calendars_to_come = calendars | units.map(lambda unit: {"next": unit})
ranges = st.one_of(
    st.lists(st.sampled_from([-5, 0, 0.5, 1, 5, 100]), min_size=2, max_size=2).map(sorted),
    st.lists(st.sampled_from(sorted(spellings(at)[0] for at in INSTANTS)), min_size=2, max_size=2, unique=True).map(
        lambda ends: sorted(ends, key=datetime.fromisoformat)
    ),
)
circles = st.fixed_dictionaries({
    "latitude": st.sampled_from([31.2, 0, 90, -89.5]),
    "longitude": st.sampled_from([121.5, 180, -180, 0]),
    "km": st.sampled_from([1, 10.5, 100, 5000, 20016]),
})  # fmt: skip
moments = st.sampled_from([*SPANS, "PT0S", "2026-06-01", *(spellings(at)[0] for at in INSTANTS)])
windows = st.sampled_from(list(SPANS))
conditions = st.one_of(
    st.tuples(st.sampled_from(["is", "is_not", "contains", "not_contains"]), literal_scalars),
    st.tuples(st.sampled_from(["in", "not_in"]), st.lists(literal_scalars, min_size=1, max_size=3)),
    st.tuples(st.sampled_from(["starts_with", "ends_with"]), words),
    st.tuples(st.just("matches"), patterns.map("".join)),
    st.tuples(st.just("regex"), expressions.map("".join)),
    st.tuples(st.just("exists"), st.booleans()),
    st.tuples(st.sampled_from(["gt", "gte", "lt", "lte"]), literal_numbers),
    st.tuples(st.sampled_from(["before", "after"]), moments),
    st.tuples(st.sampled_from(["within_last", "within_next"]), windows),
    st.tuples(st.just("within"), calendars_to_come),
    st.tuples(st.just("birthday_within"), st.integers(0, 40) | st.sampled_from([300, 360])),
    st.tuples(st.just("between"), ranges),
    st.tuples(st.just("near"), circles),
).map(lambda pair: dict([pair]))
traits = st.sampled_from(["plan", "createdAt", "address.city", "address.tags[]", "address.at", "items[]",
                          "items[].price", "items[].a\\.b"])  # fmt: skip
paths = st.sampled_from(["total", "due", "products[].price", "products[].category", "products[]", "products"])
on_trait = st.builds(lambda name, condition: {"trait": name, **condition}, traits, conditions)
elements = st.builds(
    lambda kind, path, tests: {kind: path, "where": tests},
    st.sampled_from(["any_of", "none_of"]),
    st.sampled_from(["products", "products[]", "items"]),
    st.lists(
        st.builds(lambda path, condition: {"property": path, **condition},
                  st.sampled_from(["price", "category", "a\\.b"]), conditions),
        min_size=1,
        max_size=2,
    ),
)  # fmt: skip
where = st.builds(lambda path, condition: {"property": path, **condition}, paths, conditions) | elements


def bounds(of: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(["eq", "gt", "gte", "lt", "lte"]), of, min_size=1, max_size=2)


amounts = st.builds(lambda path, limits: {"property": path, **limits}, paths, bounds(literal_numbers))
measures = st.one_of(
    st.just({"count": {"eq": 1}}),
    st.builds(lambda limits: {"count": limits}, bounds(st.integers(0, 3))),
    st.builds(lambda name, of: {name: of}, st.sampled_from(["sum", "average", "min", "max"]), amounts),
    st.builds(
        lambda name, when: {name: dict([when])},
        st.sampled_from(["first", "last"]),
        st.tuples(st.sampled_from(["before", "after"]), moments)
        | st.tuples(st.just("within_last"), windows)
        | st.tuples(st.just("within"), calendars),
    ),
    st.builds(lambda path, limits: {"distinct": {"property": path, **limits}}, paths, bounds(st.integers(0, 3))),
)
filters: st.SearchStrategy[Any] = st.just({}) | st.lists(where, min_size=1, max_size=2).map(
    lambda items: {"where": items}
)
names = st.sampled_from(["Order Completed", "Page"])
gaps = st.sampled_from(["PT1S", "P1D", "P29D", "P30D", "P60D"])
beside = st.dictionaries(
    st.sampled_from(["followed_by", "not_followed_by", "preceded_by", "not_preceded_by"]),
    st.builds(lambda name, wanted, gap: {"event": name, **wanted, "within": gap}, names, filters, gaps),
    max_size=2,
)
spans: st.SearchStrategy[Any] = (
    st.just({}) | windows.map(lambda span: {"within": span}) | calendars.map(lambda span: {"within": span})
)
sequences = st.builds(
    lambda first, steps, within, span: {"sequence": [first, *steps], **within, **span},
    st.builds(lambda name, wanted: {"event": name, **wanted}, names, filters),
    st.lists(
        st.builds(
            lambda name, wanted, gap: {"event": name, **wanted, **gap},
            names,
            st.just({}) | filters,
            st.just({}) | gaps.map(lambda gap: {"within": gap}),
        ),
        min_size=1,
        max_size=3,
    ),
    spans,
    st.just({}) | gaps.map(lambda gap: {"span": gap}),
)
on_event = st.builds(
    lambda name, wanted, within, measure, beside: {"event": name, **wanted, **within, **measure, **beside},
    names,
    filters,
    spans,
    measures,
    st.just({}) | beside,
)
leaves = st.one_of(
    on_trait,
    on_event,  # twice: there is more to say about events
    on_event,
    sequences,
    elements,
    st.sampled_from([{"tag": "a"}, {"tag": "5"}, {"stage": "pro"}, {"stage": "true"}]),
    st.sampled_from(SEGMENTS).map(lambda segment: {"segment": str(segment)}),
    bounds(st.integers(0, 99)).map(lambda limits: {"random": {"salt": "x", **limits}}),
    st.just({"everyone": True}),
)
documents = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda items: {"all": items}),
        st.lists(inner, min_size=1, max_size=3).map(lambda items: {"any": items}),
        inner.map(lambda item: {"not": item}),
    ),
    max_leaves=4,
)
PAGE = {"event": "Page", "within": "P30D"}
COUNTED: list[dict[str, Any]] = [
    *({**PAGE, "count": {limit: 2}} for limit in ("gt", "gte", "lt", "lte", "eq")),
    {"event": "Page", "within": "P1D", "count": {"eq": 0}},
    {**PAGE, "count": {"gte": 0}},
    {"not": PAGE},
    {"all": [PAGE, {"event": "Order Completed", "within": "P1D", "count": {"eq": 0}}]},
    {"any": [{"not": {**PAGE, "within": "P1D"}}, {"event": "Order Completed", "count": {"lt": 2}}]},
    {"event": "Page", "within": {"last": "day"}},
    {"sequence": [{"event": "Page"}, {"event": "Order Completed", "within": "P30D"}], "within": "P30D"},
]
ZONES = ["Pacific/Auckland", "Etc/GMT+12", "America/New_York", "Asia/Kathmandu", "UTC"]
zones = st.sampled_from([*ZONES, "asia/shanghai", "EST", "UTC+3", "", "localtime", "Nowhere/Land", 5, None])
trait_facts = st.lists(
    st.builds(
        lambda via, fact, *said: TraitFact(via, *fact, *said), st.sampled_from(VIAS),
        st.tuples(st.sampled_from(["plan", "createdAt", "created_at", "address", "items", "tags", "stage"]), values)
        | st.tuples(st.sampled_from(["timezone", "timeZone"]), zones),
        st.sampled_from([NOW, NOW - DAY]), st.sampled_from(["a", "B", "é"]), st.sampled_from(["1", "Z", "a"]),
    ),
    min_size=4, max_size=12,
)  # fmt: skip
event_facts = st.lists(
    st.builds(
        lambda via, name, at, said: (via, name, at, said),
        st.sampled_from(VIAS),
        st.sampled_from(["Order Completed", "Page"]),
        st.sampled_from([at for at in INSTANTS if at <= NOW]) | st.sampled_from(INSTANTS),
        properties,
    ),
    min_size=4,
    max_size=12,
).map(lambda rows: [EventFact(UUID(int=n), *row) for n, row in enumerate(rows, 1)])
owners = st.lists(st.sampled_from(CUSTOMERS), min_size=2, max_size=2).map(
    lambda chosen: dict(zip(VIAS, [*CUSTOMERS, *chosen], strict=True))
)
questions = st.lists(documents, min_size=8, max_size=12)
members = st.sets(st.tuples(st.sampled_from(SEGMENTS), st.sampled_from(CUSTOMERS)))


@st.composite
def histories(draw: st.DrawFn) -> "History":
    return History(draw(owners), draw(trait_facts), draw(event_facts), draw(members))


@dataclass(frozen=True)
class History:
    """Facts as they were recorded, in that order."""

    owners: dict[UUID, UUID]
    traits: list[TraitFact]
    events: list[EventFact]
    members: set[tuple[UUID, UUID]]

    def view(self, customer: UUID) -> View:
        latest: dict[str, tuple[Any, ...]] = {}
        for n, fact in enumerate(self.traits):
            key = fact.key.replace("createdAt", "created_at").replace("timeZone", "time_zone")
            stamp = (fact.at, fact.source, fact.message_id, fact.via, n)
            if self.owners[fact.via] == customer and latest.get(key, (stamp,))[0] <= stamp:
                latest[key] = (stamp, fact.value)
        events: dict[str, list[Occurrence]] = {}
        for event in sorted(self.events, key=lambda event: event.at):
            if self.owners[event.via] == customer:
                events.setdefault(event.name, []).append(Occurrence(event.at, cast("dict[str, Any]", event.properties)))
        segments = {segment for segment, member in self.members if member == customer}
        return View(customer, {key: value for key, (_, value) in latest.items()}, events, segments)

    async def write(self, session: AsyncSession) -> None:
        await session.execute(
            text(
                "INSERT INTO identity_map SELECT v, c, 1 FROM unnest(CAST(:v AS uuid[]), CAST(:c AS uuid[])) AS r(v, c)"
            ),
            {"v": list(self.owners), "c": list(self.owners.values())},
        )
        await record_traits(session, self.traits)
        await record_events(session, self.events)
        await session.execute(
            text("INSERT INTO membership SELECT * FROM unnest(CAST(:s AS uuid[]), CAST(:c AS uuid[]))"),
            {"s": [segment for segment, _ in self.members], "c": [customer for _, customer in self.members]},
        )


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories(), chosen=questions, zone=st.sampled_from(ZONES))
async def test_three_evaluators_agree(
    facts_connection: AsyncConnection, naive: Naive, history: History, chosen: list[dict[str, Any]], zone: str
) -> None:
    outer = await facts_connection.begin()
    try:
        async with AsyncSession(facts_connection, join_transaction_mode="create_savepoint") as session:
            await history.write(session)
            for document in chosen:
                rule = rules.parse(document)
                query = rules.to_sql(rule, NOW, ZoneInfo(zone))
                by_sql = list((await session.execute(text(query.text), query.params)).scalars())
                views = await load_views(session, CUSTOMERS, rules.footprint(rule), NOW)
                holds = rules.compile(rule, ZoneInfo(zone))
                in_memory = {customer for customer, view in views.items() if holds(view, NOW)}
                expected = {customer for customer in CUSTOMERS if naive(document, history.view(customer), NOW, zone)}
                assert in_memory == expected
                assert sorted(by_sql) == sorted(expected)
                flips = rules.flips(rule, ZoneInfo(zone))
                waiting = {customer for customer, view in views.items() if flips(view, NOW)}
                awaiting = rules.awaiting_sql(rule, NOW, ZoneInfo(zone))
                found = awaiting and (await session.execute(text(awaiting.text), awaiting.params)).scalars().all()
                assert waiting <= set(found or ())
    finally:
        await outer.rollback()


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories(), chosen=questions)
def test_an_unsaved_view_answers_alike(naive: Naive, history: History, chosen: list[dict[str, Any]]) -> None:
    """The values as an event brings them, floats and all, before they went through Postgres."""
    for document, customer in product([*chosen, *COUNTED], CUSTOMERS):
        view = history.view(customer)
        assert rules.compile(rules.parse(document))(view, NOW) == naive(document, view, NOW)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories(), chosen=questions, zone=st.sampled_from(ZONES))
def test_no_answer_changes_before_the_flip(history: History, chosen: list[dict[str, Any]], zone: str) -> None:
    days = [at.replace(hour=0, minute=0, second=0, microsecond=0) for at in INSTANTS]
    midnights = [day + timedelta(hours=hour) for day in days for hour in (0, 4, 12, 18.25)]
    spans = [sign * span for span in (timedelta(), *SPANS.values()) for sign in (-1, 1)]
    moments = sorted({at + span for at in INSTANTS + midnights for span in spans if at + span > NOW})
    for document, customer in product(chosen, CUSTOMERS):
        view, rule = history.view(customer), rules.parse(document)
        holds = rules.compile(rule, ZoneInfo(zone))
        now, flip = holds(view, NOW), rules.next_flip(rule, view, NOW, ZoneInfo(zone))
        assert flip is None or flip > NOW
        while flip is not None and holds(view, flip) == now:  # of very many instants only some are tried at a time
            asked, flip = flip, rules.next_flip(rule, view, flip, ZoneInfo(zone))
            assert flip is None or flip > asked
        assert all(holds(view, at) == now for at in moments if flip is None or at < flip)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories(), chosen=questions, zone=st.sampled_from(ZONES), customer=st.sampled_from(CUSTOMERS))
def test_one_event_more_turns_an_answer_only_the_way_that_is_told(
    history: History, chosen: list[dict[str, Any]], zone: str, customer: UUID
) -> None:
    """At no moment: who is in by what happened more often is then asked no more, and their timer stands."""
    more, moments = history.view(customer), [NOW + span for span in (timedelta(), *SPANS.values())]
    for document, name in product([*chosen, *COUNTED], more.events):
        rule = rules.parse(document)
        holds, turn = rules.compile(rule, ZoneInfo(zone)), turns(rule).get(name, Turn.EITHER)
        for left_out in more.events[name] if turn is not Turn.EITHER else ():
            some = [item for item in more.events[name] if item is not left_out]
            fewer = replace(more, events={**more.events, name: some})
            for at in moments:
                before, after = holds(fewer, at), holds(more, at)
                assert before == after or after is (turn is Turn.RISING)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories(), chosen=questions, customer=st.sampled_from(CUSTOMERS))
def test_an_answer_that_stays_is_not_changed_by_the_clock(
    history: History, chosen: list[dict[str, Any]], customer: UUID
) -> None:
    view = history.view(customer)
    past = {name: [item for item in found if item.at <= NOW] for name, found in view.events.items()}
    for document in [*chosen, *COUNTED]:
        rule = rules.parse(document)
        holds = rules.compile(rule)
        known = replace(view, events={name: found for name, found in past.items() if found})
        if stays(rule) is holds(known, NOW):
            assert all(holds(known, at + span) is stays(rule) for at in INSTANTS if at > NOW for span in SPANS.values())


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories(), chosen=questions, customer=st.sampled_from(CUSTOMERS), zone=st.sampled_from(ZONES))
def test_what_rules_have_in_common_is_found_out_once_and_alike(
    history: History, chosen: list[dict[str, Any]], customer: UUID, zone: str
) -> None:
    view = history.view(customer)
    keeps, asked = replace(view, memo={}), [rules.parse(document) for document in [*chosen, *COUNTED]]
    for rule in asked:
        holds, flips = rules.compile(rule, ZoneInfo(zone)), rules.flips(rule, ZoneInfo(zone))
        assert holds(keeps, NOW) is holds(view, NOW)
        assert flips(keeps, NOW) == flips(view, NOW)


def plain(document: Any) -> Any:
    """Without what prints alike: groups of one, at least one occurrence, the brackets of an element's list."""
    if isinstance(document, list):
        return [plain(part) for part in document]
    if not isinstance(document, dict):
        return document
    for name in ("all", "any"):
        if len(document.get(name, ())) == 1:
            return plain(document[name][0])
    kept = {key: part for key, part in document.items() if (key, part) != ("count", {"gte": 1})}
    return {key: part.removesuffix("[]") if key in {"any_of", "none_of"} else plain(part) for key, part in kept.items()}


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chosen=questions, language=st.sampled_from(["en", "zh"]))
def test_a_sentence_leads_back_to_its_rule(chosen: list[dict[str, Any]], language: Any) -> None:
    for document in chosen:
        rule = rules.parse(document)
        read = rules.parse_sentence(rules.describe(rule, language), language)
        assert plain(rules.dump(read)) == plain(rules.dump(rule))
