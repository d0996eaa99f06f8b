"""The verbs of issuers of customer tokens: add, change, remove."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from perennial.common import audit, egress
from perennial.common.auth import ISSUER, Principal
from perennial.common.db import WriteSession, lock
from perennial.common.ids import uuid7
from perennial.common.web import Conflict, NotFound, Unprocessable
from perennial.common.web.etags import match
from perennial.gateway.announcing import announce
from perennial.gateway.principals.issuers import queries
from perennial.gateway.principals.issuers.models import TokenIssuer
from perennial.gateway.principals.jwks import BadKeysError, read_keys


async def check_keys(wanted: Mapping[str, Any], allowed: Sequence[egress.Network]) -> None:
    """Raises Unprocessable for keys that we could not use, or may not fetch. It asks the DNS: outside a transaction."""
    try:
        if wanted.get("jwks") is not None:
            read_keys(wanted["jwks"])
        if wanted.get("jwks_url") is not None:
            await egress.check_reachable(wanted["jwks_url"], allowed)
    except BadKeysError as error:
        raise Unprocessable(str(error), code="unusable_keys", pointer="/jwks") from error
    except egress.ForbiddenAddressError as error:
        raise Unprocessable(f"jwks_{error}", code="forbidden_address", pointer="/jwks_url") from error


async def add(session: WriteSession, by: Principal, wanted: Mapping[str, Any], staff_issuer: str | None) -> TokenIssuer:
    """A new issuer. Raises Conflict for one that is known, Unprocessable for those that speak for others here."""
    if wanted["issuer"] in {ISSUER, staff_issuer}:
        raise Unprocessable("issuer: it signs other tokens here", code="reserved_issuer", pointer="/issuer")
    await lock(session, "gateway", "token-issuers")
    if await queries.named(session, wanted["issuer"]):
        raise Conflict("issuer: it is known already", code="issuer_taken", pointer="/issuer")
    issuer = TokenIssuer(id=str(uuid7()), **wanted)
    session.add(issuer)
    await session.flush()
    await session.refresh(issuer)
    await _noted(session, by, "token_issuer.added", issuer, wanted)
    return issuer


async def change(
    session: WriteSession, issuer_id: str, *, by: Principal, expected: int | None, wanted: Mapping[str, Any]
) -> TokenIssuer:
    """Change what is named in `wanted`. Raises PreconditionFailed when somebody else was faster."""
    issuer = await _locked(session, issuer_id)
    match(expected, issuer.version)
    columns = dict(wanted)
    if "jwks_url" in columns:
        columns["jwks"] = None
    elif "jwks" in columns:
        columns["jwks_url"] = None
    changes = {name: value for name, value in columns.items() if getattr(issuer, name) != value}
    if changes:
        for name, value in changes.items():
            setattr(issuer, name, value)
        issuer.version += 1
        await session.flush()
        await _noted(session, by, "token_issuer.changed", issuer, changes)
    return issuer


async def remove(session: WriteSession, issuer_id: str, *, by: Principal) -> None:
    """Believe an issuer no more."""
    issuer = await _locked(session, issuer_id)
    await session.delete(issuer)
    await session.flush()
    await _noted(session, by, "token_issuer.removed", issuer, {"issuer": issuer.issuer})


async def note_mint(session: WriteSession, by: Principal, customer_id: UUID, ttl_seconds: int) -> None:
    """Keep who became which customer, and for how long."""
    await audit.record(session, by, "customer_token.minted", f"customer/{customer_id}", {"ttl_seconds": ttl_seconds})


async def _locked(session: WriteSession, issuer_id: str) -> TokenIssuer:
    issuer = await queries.by_id(session, issuer_id, for_update=True)
    if issuer is None:
        raise missing(issuer_id)
    return issuer


def missing(issuer_id: str) -> NotFound:
    """There is no such issuer."""
    return NotFound(f"issuer_id: there is no token issuer {issuer_id!r}", pointer="path/issuer_id")


async def _noted(
    session: WriteSession, by: Principal, action: str, issuer: TokenIssuer, detail: Mapping[str, Any]
) -> None:
    await announce(session)
    await audit.record(session, by, action, f"token_issuer/{issuer.id}", detail)
