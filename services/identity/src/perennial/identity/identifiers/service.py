"""Show identifiers in clear, and write down who saw them and why: never the values themselves."""

from collections.abc import Sequence
from uuid import UUID

from perennial.common import audit
from perennial.common.auth import Principal
from perennial.common.db import WriteSession
from perennial.common.identifiers import blind_index, normalise, split
from perennial.common.problems import BadRequest, NotFound, Unprocessable
from perennial.common.settings import CommonSettings
from perennial.identity import queries as map_queries
from perennial.identity.identifiers import queries
from perennial.identity.settings import key_of

MOST = 1000


async def reveal(
    session: WriteSession, who: Principal, any_id: UUID, kinds: Sequence[str] | None, reason: str
) -> tuple[UUID, Sequence[queries.Row], bool]:
    """Today's id of a customer, its identifiers (sealed), and whether there are more. Raises NotFound."""
    customer = (await map_queries.resolve(session, [any_id])).get(any_id)
    if customer is None:
        raise NotFound(f"there is no customer {any_id}", pointer="path/customer_id")
    rows = await queries.of_customer(session, customer, None, MOST + 1, kinds)
    shown = rows[:MOST]
    detail = {"fields": sorted({row.kind for row in shown}), "identifiers": len(shown), "reason": reason}
    await audit.record(session, who, "identifiers.revealed", str(customer), detail)
    return customer, shown, len(rows) > MOST


def wanted(identifier: str, settings: CommonSettings) -> tuple[str, bytes]:
    """Kind and blind index of `<kind>:<value>` in a query. Raises BadRequest, Unprocessable."""
    try:
        kind, value = split(identifier)
    except ValueError as error:
        raise BadRequest(str(error), code="invalid_identifier", pointer="query/identifier") from error
    normal = normalise(kind, value, settings.region)
    if normal is None:
        raise Unprocessable(
            f"identifier: this {kind} can identify nobody", code="invalid_identifier", pointer="query/identifier"
        )
    return kind, blind_index(key_of("identifier_key", settings.identifier_key), kind, normal)
