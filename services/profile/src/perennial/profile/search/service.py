"""Who stands in a list of customers, and in which order."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from perennial.common import identifiers, masks, rules
from perennial.common.auth import Principal
from perennial.common.contracts.base import utc_now
from perennial.common.db import ReadSession, settings_of
from perennial.common.problems import FieldError, Forbidden, Unprocessable
from perennial.common.rules.grammar.nodes import AllOf, AnyOf, Not, OnElement, OnTrait, Rule
from perennial.common.rules.values.paths import trait_path
from perennial.common.web.cursors import bad_cursor
from perennial.profile.search import filters, queries, walks, words
from perennial.profile.search.filters import Filter, Wanted
from perennial.profile.search.items import CustomerItem
from perennial.profile.search.walks import Position, Walk
from perennial.profile.traits.definitions import schema

NAMED_FIRST = "relevance"
_TRAIT = "trait."
_CANCELLED = "57014"


@dataclass(frozen=True, slots=True)
class Asked:
    """A list that somebody asks for; `sort` may begin with a minus. `q` without a sort ranks."""

    wanted: Wanted = field(default_factory=Wanted)
    q: str | None = None
    sort: str | None = None

    @property
    def by(self) -> str:
        """The order, by its name."""
        return self.sort or ("id" if self.q is None else NAMED_FIRST)


@dataclass(frozen=True, slots=True)
class Found:
    """Customers in order, and where the next page begins: None when there is none."""

    ids: list[UUID]
    last: list[object] | None


async def seeing(session: ReadSession, who: Principal) -> Principal:
    """The principal with the shop's own classes of traits: what `search` and `seen_by` want."""
    return schema.seeing(who, await schema.in_force(session))


async def items(session: ReadSession, customers: Sequence[UUID]) -> list[CustomerItem]:
    """What a list shows of these customers."""
    if not customers:
        return []
    return [CustomerItem.model_validate(row, from_attributes=True) for row in await queries.rows(session, customers)]


async def by_identifier(session: ReadSession, identifier: str) -> list[CustomerItem]:
    """Who has `kind:value`: one customer or none. Raises Unprocessable for what can identify nobody."""
    try:
        kind, value = identifiers.split(identifier)
    except ValueError as error:
        raise Unprocessable(str(error), code="invalid_identifier", pointer="query/identifier") from error
    digests = _digests(session, value, [kind])
    if not digests:
        raise Unprocessable(
            f"identifier: the value cannot identify anybody as {kind}",
            code="invalid_identifier",
            pointer="query/identifier",
        )
    return await items(session, await queries.identified(session, digests))


async def known(session: ReadSession, people: Sequence[Sequence[str]]) -> list[bool]:
    """Whether each is a customer, by any of their identifiers; what can identify nobody is nobody's."""
    asked: list[set[tuple[str, bytes]]] = []
    for person in people:
        asked.append(set())
        for identifier in person:
            kind, _, value = identifier.partition(":")
            if kind in identifiers.KINDS:
                asked[-1].update(_digests(session, value, [kind]))
    found = await queries.taken(session, list(set().union(*asked))) if any(asked) else set()
    return [not found.isdisjoint(person) for person in asked]


def _digests(session: ReadSession, value: str, kinds: Sequence[str]) -> list[tuple[str, bytes]]:
    settings = settings_of(session)
    key = bytes.fromhex(settings.identifier_key.get_secret_value())
    normal = {kind: identifiers.normalise(kind, value, settings.region) for kind in kinds}
    return [(kind, identifiers.blind_index(key, kind, said)) for kind, said in normal.items() if said is not None]


async def search(
    session: ReadSession, who: Principal, asked: Asked, limit: int, cursor: Sequence[object],
    patience: str | None = None,
) -> Found:  # fmt: skip
    """One page of at most `limit` customers; where few of many hold, a page may have fewer and still not be the last.

    Raises Unprocessable and Forbidden for what cannot be asked, and BadRequest for a cursor of another list.
    """
    if asked.wanted.rule is not None:
        masks.check_rule(who, asked.wanted.rule, "query/filter")
        _check_sealed(who, asked.wanted.rule)
    await queries.settle(session, patience or queries.PATIENCE)
    try:
        return await _search(session, who, asked, limit, cursor)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _CANCELLED:
            raise
        raise Unprocessable(
            "the search takes too long: narrow it by a tag, a stage, a segment or an exact trait",
            code="search_too_broad",
        ) from error


def _check_sealed(who: Principal, rule: Rule) -> None:
    """Whoever sees a sealed trait would miss all who have it: a comparison reads what is stored."""
    match rule:
        case AllOf() | AnyOf():
            for inner in rule.rules:
                _check_sealed(who, inner)
        case Not():
            _check_sealed(who, rule.rule)
        case OnTrait() | OnElement() if isinstance(rule, OnElement) or rule.operator != "exists":
            key, _ = trait_path(rule.property if isinstance(rule, OnElement) else rule.trait)
            of_place = isinstance(rule, OnTrait) and rule.operator == "near"
            if of_place or (who.classes.get(key) or masks.class_of(key)) == "sensitive":
                raise Unprocessable(
                    f"filter: the trait {key} is kept sealed, so a list cannot compare it; look for the identifier",
                    code="trait_sealed",
                    pointer="query/filter",
                )


async def _search(session: ReadSession, who: Principal, asked: Asked, limit: int, cursor: Sequence[object]) -> Found:
    computed = await queries.computed_keys(session) if asked.wanted.rule is not None else []
    found = filters.compiled(asked.wanted, utc_now(), computed)
    params: dict[str, object] = {}
    keys = words.visible(who)
    if asked.q is not None and asked.by != NAMED_FIRST:
        test, params = walks.named(asked.q, keys)
        found.narrow.append(test)
        found.held.append(test)
    only = await queries.narrowed(session, found, params) if found.narrow else None
    if only is not None:
        params = {**params, "only": only}
    if asked.by == NAMED_FIRST:
        return await _ranked(session, asked.q or "", keys, found, params, limit, cursor)
    walk = await _ordered(session, who, asked.by, found, narrowed=only is not None)
    after = _position(cursor, asked.by, [walk])
    near, ended = await queries.walked(session, walk, found, params, after[1] if after else None, limit + 1)
    return _page(near, ended, limit, [asked.by, 0])


async def _ranked(
    session: ReadSession,
    q: str,
    keys: list[str],
    found: Filter,
    params: dict[str, object],
    limit: int,
    cursor: Sequence[object],
) -> Found:
    """Who has `q` as an identifier, then who is called so, as `walks.by_likeness` has it."""
    digests = _digests(session, q, list(identifiers.KINDS))
    known = await queries.identified(session, digests) if digests else []
    ways = [walks.among(known), *(walks.without(walk, known) for walk in walks.by_likeness(q, keys))]
    tier, after = _position(cursor, NAMED_FIRST, ways) or (0, None)
    near: list[tuple[int, Position]] = []
    ended = None
    for number, walk in list(enumerate(ways))[tier:]:
        more, ended = await queries.walked(session, walk, found, params, after, limit + 1 - len(near))
        near += ((number, position) for position in more)
        tier, after = number, None
        if len(near) > limit or ended is not None:
            break
    if len(near) > limit:
        tier, ended = near[limit - 1]
    return Found([UUID(position.id) for _, position in near[:limit]], [NAMED_FIRST, tier, *ended] if ended else None)


async def _ordered(session: ReadSession, who: Principal, by: str, found: Filter, *, narrowed: bool) -> Walk:
    down, name = by.startswith("-"), by.removeprefix("-")
    if name == "id":
        return walks.by_id(down=down)
    if name == "name":
        if hidden := masks.hidden(who, words.NAMES):
            raise _masked("name", ", ".join(hidden))
        return walks.by_column("name", "text", down=down)
    if name in {"first_seen", "last_seen"}:
        return walks.by_column(name, "timestamptz", down=down)
    if not name.startswith(_TRAIT):
        raise _no_order(
            "must be id, name, first_seen, last_seen or trait.<key>, with a minus before it to turn it round"
        )
    path = name.removeprefix(_TRAIT)
    try:
        masks.check_rule(who, rules.parse({"trait": path, "gt": 0}), "query/sort")
        value = filters.number_of(path, found.binds)
    except ValueError as error:
        raise _no_order(str(error)) from error
    if not narrowed and not await queries.are_few(session):
        raise _no_order(
            "so many cannot be sorted by a trait: narrow them by a tag, a stage, a segment or an exact trait"
        )
    return walks.by_number(value, found.binds.values, down=down)


def _no_order(why: str) -> Unprocessable:
    return Unprocessable(f"sort: {why}", code="invalid_sort", pointer="query/sort")


def _masked(name: str, hidden: str) -> Forbidden:
    detail = f"sort: {name} is masked for you ({hidden}), so a list cannot be sorted by it"
    error = FieldError(pointer="query/sort", detail=detail, code="field_masked")
    return Forbidden(detail, code="field_masked", errors=[error])


def _position(cursor: Sequence[object], by: str, ways: Sequence[Walk]) -> tuple[int, Position] | None:
    """The walk that a cursor was made in, and where it had come to. Raises BadRequest."""
    if not cursor:
        return None
    try:
        sort, tier, key, last = cursor
        position = Position(str(key), str(UUID(str(last))))
    except ValueError as error:
        raise bad_cursor() from error
    if sort != by or type(tier) is not int or not 0 <= tier < len(ways) or not ways[tier].knows(position.key):
        raise bad_cursor()
    return tier, position


def _page(near: Sequence[Position], ended: Position | None, limit: int, head: list[object]) -> Found:
    ids = [UUID(position.id) for position in near[:limit]]
    if len(near) > limit:
        return Found(ids, [*head, *near[limit - 1]])
    return Found(ids, [*head, *ended] if ended else None)
