"""Subject and body: Liquid templates, which can read a few values and do nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from liquid import BoundTemplate, Environment
from liquid.exceptions import LiquidError

from perennial.common.rules import trait_key

ROOTS = ("traits", "event", "customer", "journey", "message")
LONGEST_OUTPUT = 200_000
_LOADING = frozenset({"include", "render", "extends", "block"})


class _Bounded(Environment):
    """An environment whose templates cannot run away."""

    loop_iteration_limit = 10_000
    output_stream_limit = LONGEST_OUTPUT
    local_namespace_limit = 100_000
    context_depth_limit = 20
    block_nesting_limit = 20


_TEXT, _HTML = _Bounded(), _Bounded(autoescape=True)


class TemplateFault(ValueError):  # noqa: N818 (a fault of the author)
    """A template that cannot be used, and why."""


class Traits(Mapping[str, object]):
    """Traits by any spelling of their names."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> object:
        """The value under the one spelling; KeyError when there is none."""
        return self._values[trait_key(name)]

    def __iter__(self) -> Iterator[str]:
        """The names as stored."""
        return iter(self._values)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._values)


@dataclass(frozen=True)
class Facts:
    """What a template may read."""

    traits: Mapping[str, object]
    event: Mapping[str, object]
    customer: Mapping[str, object]
    journey: Mapping[str, object]
    message: Mapping[str, object]


@lru_cache(maxsize=2000)
def _parsed(source: str, markup: bool) -> BoundTemplate:  # noqa: FBT001 (a key of the cache)
    return (_HTML if markup else _TEXT).from_string(source)


def reads(source: str) -> frozenset[str]:
    """The keys of the traits that a template reads. Raises TemplateFault for one that could not be rendered."""
    try:
        template = _parsed(source, markup=False)
        found = template.analyze(include_partials=False)
        template.render(**{root: {} for root in ROOTS})
    except LiquidError as error:
        raise TemplateFault(_message(error)) from None
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise TemplateFault(f"fails when nothing is known: {error!r}") from None
    if loading := _LOADING & set(found.tags):
        raise TemplateFault(f"must not load other templates ({', '.join(sorted(loading))})")
    if unknown := sorted(set(found.globals) - set(ROOTS)):
        raise TemplateFault(f"{unknown[0]} is not known; there are {', '.join(ROOTS)}")
    return frozenset(_trait(variable.segments) for variable in found.globals.get("traits", ()))


@dataclass(frozen=True)
class Sources:
    """What a text is made of: traits, the names by which their insides and the event's are read, and whole events."""

    traits: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    event: bool = False
    whole: bool = False

    def __or__(self, other: "Sources") -> "Sources":
        """Of two texts together."""
        return Sources(
            self.traits | other.traits, self.names | other.names, self.event or other.event, self.whole or other.whole
        )


@lru_cache(maxsize=2000)
def sources(source: str) -> Sources:
    """What a template that `reads` has accepted is made of."""
    found = _parsed(source, markup=False).analyze(include_partials=False)
    event = found.globals.get("event", ())
    read = [variable.segments for variables in found.variables.values() for variable in variables]
    return Sources(
        reads(source),
        frozenset(segment for segments in read for segment in segments[1:] if isinstance(segment, str)),
        event=bool(event),
        whole=any(variable.segments[-1] in {"event", "properties"} for variable in event),
    )


def _trait(segments: Sequence[object]) -> str:
    if len(segments) < 2 or not isinstance(segments[1], str):
        raise TemplateFault("traits must be read by name, such as traits.first_name")
    return trait_key(segments[1])


def render(source: str, facts: Facts, *, markup: bool = False) -> str:
    """The text for one customer. Raises TemplateFault."""
    values = {
        "traits": Traits(facts.traits),
        "event": facts.event,
        "customer": facts.customer,
        "journey": facts.journey,
        "message": facts.message,
    }
    try:
        return _parsed(source, markup).render(**values).replace("\x00", "")
    except LiquidError as error:
        raise TemplateFault(_message(error)) from None
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise TemplateFault(repr(error)[:200]) from None


def _message(error: LiquidError) -> str:
    return str(error).splitlines()[0][:300]
