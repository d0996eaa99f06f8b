"""The verbs of API keys: issue, revoke, seed."""

import secrets
from datetime import UTC, datetime

from sqlalchemy.dialects.postgresql import insert

from perennial.common import audit
from perennial.common.auth import Principal
from perennial.common.db import WriteSession
from perennial.common.web import Forbidden, NotFound, Unprocessable
from perennial.gateway.access import SYSTEM, announce, digest
from perennial.gateway.principals import queries
from perennial.gateway.principals.models import ApiKey

DEVELOPMENT = "development"
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


async def issue(
    session: WriteSession, by: Principal, *, name: str, scopes: list[str], expires_at: datetime | None
) -> tuple[ApiKey, str]:
    """A new key, and its text, which is shown once. Raises Forbidden for more, or for longer, than the issuer holds."""
    beyond = [scope for scope in scopes if not covers(by, scope)]
    if beyond:
        raise Forbidden(f"scopes: you do not hold {', '.join(beyond)}", code="insufficient_scope", pointer="/scopes")
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise Unprocessable("expires_at lies in the past", code="invalid_request", pointer="/expires_at")
    await _check_outlives(session, by, expires_at)
    key_id = "".join(secrets.choice(_ALPHABET) for _ in range(12))
    text = f"psk_{key_id}_{secrets.token_urlsafe(32)}"
    key = ApiKey(
        id=key_id, name=name, prefix=f"psk_{key_id}", digest=digest(text), scopes=sorted(set(scopes)),
        expires_at=expires_at,
    )  # fmt: skip
    session.add(key)
    await session.flush()
    await session.refresh(key)
    await _changed(session, by, "api_key.issued", key)
    return key, text


async def revoke(session: WriteSession, key_id: str, *, by: Principal) -> None:
    """Make a key useless at once; revoking it twice is harmless."""
    key = await queries.by_id(session, key_id, for_update=True)
    if key is None:
        raise NotFound(f"key_id: there is no API key {key_id!r}", pointer="path/key_id")
    if key.revoked_at is None:
        key.revoked_at = datetime.now(UTC)
        await _changed(session, by, "api_key.revoked", key)


async def seed(session: WriteSession, text: str) -> None:
    """Make the development key with every scope; a new text replaces the old one."""
    key = await queries.by_id(session, DEVELOPMENT, for_update=True)
    if key is not None and key.digest == digest(text) and key.revoked_at is None:
        return
    values = {"name": "Development", "prefix": DEVELOPMENT, "digest": digest(text), "scopes": ["*"], "revoked_at": None}
    statement = insert(ApiKey).values(id=DEVELOPMENT, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))
    await audit.record(session, SYSTEM, "api_key.seeded", f"api_key/{DEVELOPMENT}", {"scopes": ["*"]})
    await announce(session)


def covers(principal: Principal, scope: str) -> bool:
    """Whether everything that a scope grants, wildcards included, is granted to the principal already."""
    if scope == "*":
        return "*" in principal.scopes
    resource, _, action = scope.partition(":")
    return bool({"*", f"{resource}:*"} & principal.scopes) or (action != "*" and scope in principal.scopes)


async def _check_outlives(session: WriteSession, by: Principal, expires_at: datetime | None) -> None:
    issuer = await queries.by_id(session, by.id) if by.kind == "api_key" else None
    ends = issuer.expires_at if issuer is not None else None
    if ends is not None and (expires_at is None or expires_at > ends):
        detail = f"expires_at must be {ends.isoformat()} or earlier: a key cannot outlive the one that issues it"
        raise Forbidden(detail, code="outlives_issuer", pointer="/expires_at")


async def _changed(session: WriteSession, by: Principal, action: str, key: ApiKey) -> None:
    await audit.record(session, by, action, f"api_key/{key.id}", {"name": key.name, "scopes": key.scopes})
    await announce(session)
