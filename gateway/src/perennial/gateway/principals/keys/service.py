"""The verbs of API keys: issue, rotate, revoke, seed."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.dialects.postgresql import insert

from perennial.common import audit, masks
from perennial.common.auth import Principal
from perennial.common.db import WriteSession
from perennial.common.web import Conflict, Forbidden, NotFound, Unauthorized, Unprocessable
from perennial.gateway.announcing import SYSTEM, announce
from perennial.gateway.principals import grants, texts
from perennial.gateway.principals.keys import queries
from perennial.gateway.principals.keys.models import ApiKey

DEVELOPMENT = "development"
LONGEST_OVERLAP = timedelta(days=7)


async def issue(session: WriteSession, by: Principal, wanted: Mapping[str, Any]) -> tuple[ApiKey, str]:
    """A new key, and its text, which is shown once.

    `wanted` has name, scopes, fields, rate_limit and expires_at. Raises Forbidden for more, or for longer, than the
    issuer holds.
    """
    grants.check_known(wanted["scopes"])
    grants.check(by, wanted["scopes"], wanted["fields"])
    expires_at = wanted["expires_at"]
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise Unprocessable("expires_at lies in the past", code="invalid_request", pointer="/expires_at")
    await _check_issuer(session, by, wanted)
    key_id = texts.new_id()
    text = texts.new_text(texts.KEY, key_id)
    key = ApiKey(
        id=key_id, name=wanted["name"], prefix=f"{texts.KEY}_{key_id}", digest=texts.digest(text),
        scopes=sorted(set(wanted["scopes"])), fields=sorted(set(wanted["fields"])), rate_limit=wanted["rate_limit"],
        expires_at=expires_at,
    )  # fmt: skip
    session.add(key)
    await session.flush()
    await session.refresh(key)
    await _changed(session, by, "api_key.issued", key, {"rate_limit": key.rate_limit, "expires_at": key.expires_at})
    return key, text


async def rotate(session: WriteSession, key_id: str, *, by: Principal, until: datetime | None) -> tuple[ApiKey, str]:
    """A new text for a key; the one before it is good until then, or not at all. Raises Conflict when it is over."""
    key = await _locked(session, key_id)
    now = datetime.now(UTC)
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
        raise Conflict("key_id: the key was revoked or has expired; issue a new one", code="key_over")
    if key.id == DEVELOPMENT:
        raise Conflict("key_id: the environment sets the development key", code="key_from_environment")
    if until is not None and not now < until <= now + LONGEST_OVERLAP:
        detail = f"previous_until must lie ahead, at most {LONGEST_OVERLAP.days} days"
        raise Unprocessable(detail, code="invalid_request", pointer="/previous_until")
    grants.check(by, key.scopes, key.fields)
    await _check_issuer(session, by, {"expires_at": key.expires_at, "rate_limit": key.rate_limit})
    text = texts.new_text(texts.KEY, key.id)
    key.previous_digest, key.previous_until = (key.digest, until) if until else (None, None)
    key.digest = texts.digest(text)
    await session.flush()
    await _changed(session, by, "api_key.rotated", key, {"previous_until": until})
    return key, text


async def revoke(session: WriteSession, key_id: str, *, by: Principal) -> None:
    """Make a key useless at once; revoking it twice is harmless."""
    key = await _locked(session, key_id)
    if key.revoked_at is None:
        key.revoked_at = datetime.now(UTC)
        await _changed(session, by, "api_key.revoked", key)


async def seed(session: WriteSession, text: str) -> None:
    """Make the development key with every scope and field; a new text replaces the old one."""
    key = await queries.by_id(session, DEVELOPMENT, for_update=True)
    everything = {"scopes": ["*"], "fields": [masks.EVERYTHING]}
    hashed = texts.digest(text)
    if key is not None and (key.digest, key.revoked_at, key.fields) == (hashed, None, everything["fields"]):
        return
    values = {"name": "Development", "prefix": DEVELOPMENT, "digest": hashed, "revoked_at": None, **everything}
    statement = insert(ApiKey).values(id=DEVELOPMENT, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))
    await announce(session)
    await audit.record(session, SYSTEM, "api_key.seeded", f"api_key/{DEVELOPMENT}", everything)


async def _locked(session: WriteSession, key_id: str) -> ApiKey:
    key = await queries.by_id(session, key_id, for_update=True)
    if key is None:
        raise NotFound(f"key_id: there is no API key {key_id!r}", pointer="path/key_id")
    return key


async def _check_issuer(session: WriteSession, by: Principal, wanted: Mapping[str, Any]) -> None:
    if by.kind != "api_key":
        return
    issuer = await queries.by_id(session, by.id, for_update=True)
    if issuer is None or issuer.revoked_at is not None:
        raise Unauthorized("Authorization: the API key is unknown or revoked", code="invalid_key")
    ends, expires_at = issuer.expires_at, wanted["expires_at"]
    if ends is not None and (expires_at is None or expires_at > ends):
        detail = f"expires_at must be {ends.isoformat()} or earlier: a key cannot outlive the one that issues it"
        raise Forbidden(detail, code="outlives_issuer", pointer="/expires_at")
    most, rate = issuer.rate_limit, wanted["rate_limit"]
    if most is not None and (rate is None or rate > most):
        detail = f"rate_limit must be {most} or less, as it is of the key that issues it"
        raise Forbidden(detail, code="above_issuer", pointer="/rate_limit")


async def _changed(
    session: WriteSession, by: Principal, action: str, key: ApiKey, detail: Mapping[str, Any] | None = None
) -> None:
    await announce(session)
    said = {"name": key.name, "scopes": key.scopes, "fields": key.fields, **(detail or {})}
    await audit.record(session, by, action, f"api_key/{key.id}", said)
