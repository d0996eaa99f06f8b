"""Orders in which customers are walked: each an index range from a position on, so that a page costs a page."""

# ruff: noqa: S608 (what is not ours is bound, never written into the text)

import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from perennial.profile.search import words
from perennial.profile.search.words import LAST

FUZZIEST = 200
SHORTEST_FUZZY = 3
# As Postgres writes them: Python reads more as a number or a time than Postgres does.
_KEYS = {
    "numeric": re.compile(r"-?(?:[0-9]{1,60}(?:\.[0-9]{1,60})?|Infinity)"),
    "timestamptz": re.compile(
        r"-infinity|(?P<at>[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}(?:\.[0-9]{1,6})?)"
        r"[+-](?:0[0-9]|1[0-4])(?::[0-5][0-9]){0,2}"
    ),
    "uuid": re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
}


class Position(NamedTuple):
    """Where a walk has come to: its sort key as text, and the customer."""

    key: str
    id: str


@dataclass(frozen=True, slots=True)
class Walk:
    """Customers of `source`, by `column` (of the type `of`) and `id`, where `where` holds."""

    source: str
    column: str
    id: str
    of: str = "text"
    where: str = "true"
    down: bool = False
    params: dict[str, object] = field(default_factory=dict)

    @property
    def way(self) -> str:
        """How all of it is ordered."""
        return "pos DESC, customer_id DESC" if self.down else "pos, customer_id"

    def sql(self, after: Position | None, *, only: bool) -> str:
        """What lies behind a position; of `only` these customers."""
        tests = [self.where]
        if only:
            tests.append(f"{self.id} = ANY(CAST(:only AS uuid[]))")
        if after is not None:
            sign = "<" if self.down else ">"
            position = f"(CAST(CAST(:after_key AS text) AS {self.of}), CAST(:after_id AS uuid))"
            tests.append(f"({self.column}, {self.id}) {sign} {position}")
        return (
            f"SELECT {self.id} AS customer_id, {self.column} AS pos FROM {self.source}"
            f" WHERE {' AND '.join(tests)} ORDER BY {self.way}"
        )

    def knows(self, key: str) -> bool:
        """Whether a cursor's key can be one of this walk's."""
        if self.of not in _KEYS:
            return True
        found = _KEYS[self.of].fullmatch(key)
        try:
            if found is not None and (at := found.groupdict().get("at")):
                datetime.fromisoformat(at)
        except ValueError:  # the 30th of February
            return False
        return found is not None


def by_id(*, down: bool) -> Walk:
    """In the order in which customers came."""
    return Walk("customer AS c", "c.customer_id", "c.customer_id", of="uuid", down=down)


def among(customers: list[UUID]) -> Walk:
    """These, in the order in which they came."""
    known = "c.customer_id = ANY(CAST(:known AS uuid[]))"
    return Walk("customer AS c", "c.customer_id", "c.customer_id", of="uuid", where=known, params={"known": customers})


def without(walk: Walk, customers: list[UUID]) -> Walk:
    """The others along a walk."""
    where = f"{walk.where} AND {walk.id} <> ALL(CAST(:known AS uuid[]))"
    return replace(walk, where=where, params={**walk.params, "known": customers})


def by_column(column: str, of: str, *, down: bool) -> Walk:
    """By what is kept for sorting: name, first_seen, last_seen."""
    return Walk("customer_order AS o", f"o.{column}", "o.customer_id", of=of, down=down)


def by_number(value: str, params: dict[str, object], *, down: bool) -> Walk:
    """By a number of the row; who has none comes last. No index knows it: only for so many customers."""
    last = "'-Infinity'::numeric" if down else "'Infinity'::numeric"
    return Walk("customer AS c", f"coalesce({value}, {last})", "c.customer_id", of="numeric", down=down, params=params)


# One row of each customer: the first form in the range, and only if no form meets an earlier wish.
_FIRST = """
    n.form >= :needle AND n.form < :needle_end AND n.key = ANY(CAST(:name_keys AS text[])) AND NOT EXISTS (
        SELECT FROM customer_name AS o WHERE o.customer_id = n.customer_id AND o.key = ANY(CAST(:name_keys AS text[]))
        AND (o.form >= :needle AND o.form < :needle_end AND (o.form, o.key) < (n.form, n.key){earlier})
        OFFSET 0)"""  # one probe a row: a join would read the whole range for a page
_EXACT = " OR o.form = :needle AND o.words IS NOT NULL"
_BEGUN = " OR o.form >= :said AND o.form < :said_end"
_SIMILAR = """(
    SELECT n.customer_id, min(round(1 - word_similarity(:spaced, n.words)::numeric, 4)) AS distance
    FROM customer_name AS n WHERE n.words %> :spaced AND n.words IS NOT NULL
      AND n.key = ANY(CAST(:name_keys AS text[])) AND NOT EXISTS (
        SELECT FROM customer_name AS o WHERE o.customer_id = n.customer_id
          AND o.form >= :needle AND o.form < :needle_end AND o.key = ANY(CAST(:name_keys AS text[])) OFFSET 0)
    GROUP BY n.customer_id ORDER BY 2, 1 LIMIT 200) AS s"""


def by_likeness(q: str, keys: list[str]) -> list[Walk]:
    """Those whose name is `q`, then those with a name that begins like it, then those with one that resembles it.

    A Chinese name resembles another that sounds alike. The keys are those of the traits that may be looked into.
    """
    said = words.units(q)
    needle = "".join(said)
    if not needle:
        return []
    params: dict[str, object] = {"needle": needle, "needle_end": needle + LAST, "name_keys": keys}
    name, form = "customer_name AS n", ("n.form", "n.customer_id")
    exact = f"{_FIRST.format(earlier='')} AND n.form = :needle AND n.words IS NOT NULL"
    found = [
        Walk(name, *form, where=exact, params=params),
        Walk(name, *form, where=_FIRST.format(earlier=_EXACT), params=params),
    ]
    spoken = words.spoken(said)
    if spoken:
        sound = "".join(spoken[0])
        heard = {**params, "said": needle, "said_end": needle + LAST, "needle": sound, "needle_end": sound + LAST}
        found.append(Walk(name, *form, where=_FIRST.format(earlier=_BEGUN), params=heard))
    elif len(needle) >= SHORTEST_FUZZY:
        similar = {**params, "spaced": " ".join(said)}
        found.append(Walk(_SIMILAR, "s.distance", "s.customer_id", of="numeric", params=similar))
    return found


def named(q: str, keys: list[str]) -> tuple[str, dict[str, object]]:
    """SQL of the customers with a name that begins like `q`, for a list in another order."""
    needle = words.fold(q)
    params: dict[str, object] = {"needle": needle, "needle_end": needle + LAST, "name_keys": keys}
    among = "SELECT customer_id FROM customer_name WHERE form >= :needle AND form < :needle_end AND :needle <> ''"
    return f"c.customer_id IN ({among} AND key = ANY(CAST(:name_keys AS text[])))", params
