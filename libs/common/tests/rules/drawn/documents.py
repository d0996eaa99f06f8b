"""Rules as JSON, of every kind of node, about the values that `values` draws."""

from datetime import datetime
from typing import Any

from hypothesis import strategies as st

from libs.common.tests.rules.drawn.values import INSTANTS, SEGMENTS, SPANS, WORDS, spellings

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
questions = st.lists(documents, min_size=8, max_size=12)
