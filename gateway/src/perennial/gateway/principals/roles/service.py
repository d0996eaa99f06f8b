"""The verb of roles: choose what one sees in clear."""

from sqlalchemy.dialects.postgresql import insert

from perennial.common import audit
from perennial.common.auth import Principal
from perennial.common.db import WriteSession, lock
from perennial.common.web import NotFound
from perennial.common.web.etags import match
from perennial.gateway.announcing import announce
from perennial.gateway.permissions import ROLES, Role
from perennial.gateway.principals import grants, known
from perennial.gateway.principals.roles import queries
from perennial.gateway.principals.roles.models import RoleFields


async def choose_fields(
    session: WriteSession, name: str, *, by: Principal, expected: int | None, fields: list[str] | None
) -> int:
    """Let a role see these fields in clear and no others, or (None) what is built in; the new version.

    Raises Forbidden for a role that holds, or shall see, what its changer does not.
    """
    if name not in ROLES:
        raise missing(name)
    await lock(session, "gateway", "role", name)
    row = await queries.by_name(session, name, for_update=True)
    before = known.roles([row] if row else [])[name]
    match(expected, row.version if row else 0)
    chosen = sorted(set(fields)) if fields is not None else None
    after = Role(before.about, before.scopes, frozenset(chosen) if chosen is not None else ROLES[name].fields)
    grants.check_role(by, name, before)
    grants.check_role(by, name, after)
    version = (row.version if row else 0) + 1
    statement = insert(RoleFields).values(role=name, fields=chosen, version=version)
    await session.execute(
        statement.on_conflict_do_update(index_elements=["role"], set_={"fields": chosen, "version": version})
    )
    await announce(session)
    detail = {"before": sorted(before.fields), "after": sorted(after.fields)}
    await audit.record(session, by, "role.fields_chosen", f"role/{name}", detail)
    return version


def missing(name: str) -> NotFound:
    """There is no such role."""
    return NotFound(f"name: there is no role {name!r}; there are {', '.join(ROLES)}", pointer="path/name")
