"""The table of reactions: which foreign events a service hears, and the verb that answers."""

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from perennial.common.contracts.base import Event
from perennial.common.contracts.identity import RESOLVED_SUBJECT, ResolvedEvent
from perennial.common.db import ReadSession, WriteSession

E = TypeVar("E", bound=Event | ResolvedEvent)


@dataclass(frozen=True)
class Reaction(Generic[E]):
    """`handle(session, events)` gets every new event of a batch at once, in the transaction that marks them as seen.

    `asked` says which names it wants today, where data says that: what nobody asks for costs no row of the inbox.
    `types` says what `wanted` does, where types of customers' events are all that it asks for.
    """

    contract: type[E]
    handle: Callable[[WriteSession, list[E]], Awaitable[None]]
    wanted: Callable[[E], bool] | None = None
    asked: Callable[[ReadSession], Awaitable[Collection[str]]] | None = None
    types: Collection[str] = ()

    @property
    def subject(self) -> str:
        """Where it is heard."""
        return RESOLVED_SUBJECT if issubclass(self.contract, ResolvedEvent) else self.contract.subject

    @property
    def hot(self) -> bool:
        """Whether it hears customers' events, in their partitions."""
        return issubclass(self.contract, ResolvedEvent)

    @property
    def producer(self) -> str:
        """The service that says it."""
        return self.subject.split(".", 1)[0]


def on(
    contract: type[E],
    handle: Callable[[WriteSession, list[E]], Awaitable[None]],
    *,
    names: Iterable[str] | None = None,
    types: Iterable[str] | None = None,
    live: bool = False,
    asked: Callable[[ReadSession], Awaitable[Collection[str]]] | None = None,
) -> Reaction[E]:
    """React to a contract; for customers' events, only to some semantic names or types, or only to live ones.

    `asked`: of these only to the names that it returns, read anew for each batch.
    """
    if names is None and types is None and not live:
        return Reaction(contract, handle, None, asked)
    wanted_names, wanted_types = frozenset(names or ()), frozenset(types or ())

    def wanted(event: Any) -> bool:
        if live and not event.live:
            return False
        return (names is None and types is None) or event.name in wanted_names or event.type in wanted_types

    def of_type(event: Any) -> bool:
        return event.type in wanted_types

    if names is None and types is not None and not live:
        return Reaction(contract, handle, of_type, asked, wanted_types)
    return Reaction(contract, handle, wanted, asked)
