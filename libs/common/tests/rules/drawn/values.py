"""Awkward values, and moments around the instants at which windows open and close."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from hypothesis import strategies as st

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
