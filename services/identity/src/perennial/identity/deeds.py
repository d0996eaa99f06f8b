"""What people do to the map and may undo, merges and splits: shown, listed, done, previewed and undone alike."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Self, TypeVar
from uuid import UUID

from fastapi import Request, Response
from pydantic import BaseModel
from sqlalchemy import RowMapping

from perennial.common import prose
from perennial.common.auth import Principal
from perennial.common.db import ReadSession, WriteSession
from perennial.common.problems import NotFound
from perennial.common.web import Page, paged
from perennial.common.web.cursors import PageRequest, last_id
from perennial.common.web.idempotency import Once, run
from perennial.identity import queries
from perennial.identity.previews.api import answer
from perennial.identity.previews.service import Concerned, Verb


class Shown(BaseModel):
    """What every deed shows."""

    id: UUID
    created_at: datetime
    undone_at: datetime | None
    undone_reason: str | None

    def seen_by(self, principal: Principal) -> Self:
        """The same with what the principal does not see in clear masked; a reason is what somebody wrote."""
        return self.model_copy(update={"undone_reason": prose.private(principal, self.undone_reason)})


S = TypeVar("S", bound=Shown)


@dataclass(frozen=True)
class Deeds(Generic[S]):
    """The deeds of one kind: what one is called, how it is shown, how its rows are read, and whom it concerns."""

    noun: str
    shown: type[S]
    one: Callable[[ReadSession, UUID], Awaitable[RowMapping | None]]
    listing: Callable[[ReadSession, UUID | None, int, Sequence[UUID] | None], Awaitable[Sequence[RowMapping]]]
    sides: Callable[[UUID], Concerned]

    async def get(self, session: ReadSession, deed_id: UUID, who: Principal) -> S:
        """One of them. Raises NotFound."""
        found = await self.one(session, deed_id)
        if found is None:
            raise NotFound(f"there is no {self.noun} {deed_id}", pointer=f"path/{self.noun}_id")
        return self.shown.model_validate(dict(found)).seen_by(who)

    async def page(self, session: ReadSession, page: PageRequest, customer: UUID | None, who: Principal) -> Page[S]:
        """A page, newest first; of one customer, by today's id or an old one."""
        customers = None
        if customer is not None:
            customers = [customer, (await queries.resolve(session, [customer])).get(customer, customer)]
        rows = await self.listing(session, last_id(page), page.limit + 1, customers)
        return paged([self.shown.model_validate(dict(row)).seen_by(who) for row in rows], page, lambda item: [item.id])

    async def do(self, session: WriteSession, verb: Verb, who: Principal, once: Once | None) -> Response:
        """Do one, once for each key; the verb returns its id. Raises what the verb raises."""

        async def done() -> S:
            return await self.get(session, await verb(session), who)

        return await run(once, session, done, 201, location=f"/v1/{self.noun}s/{{id}}")

    async def undo(self, session: WriteSession, deed_id: UUID, verb: Verb, who: Principal) -> S:
        """Undo one, and show it. Raises what the verb raises."""
        await verb(session)
        return await self.get(session, deed_id, who)

    async def preview_undo(self, request: Request, deed_id: UUID, verb: Verb) -> Any:
        """What undoing it would change. Raises what the verb raises."""
        return await answer(request, self.sides(deed_id), verb)
