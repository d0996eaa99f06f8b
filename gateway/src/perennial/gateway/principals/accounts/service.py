"""The verbs of staff accounts: add, change, unlock, reset; nobody acts on those above himself."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.dialects.postgresql import insert

from perennial.common import audit
from perennial.common.auth import Principal
from perennial.common.db import WriteSession, lock
from perennial.common.ids import uuid7
from perennial.common.web import Conflict, NotFound, Unprocessable
from perennial.common.web.etags import match
from perennial.gateway.announcing import SYSTEM, announce
from perennial.gateway.permissions import ROLES
from perennial.gateway.principals import grants, known
from perennial.gateway.principals.accounts import queries
from perennial.gateway.principals.accounts.models import Account
from perennial.gateway.principals.accounts.passwords import Passwords, normalised
from perennial.gateway.principals.accounts.queries import OWNER
from perennial.gateway.principals.roles import queries as roles
from perennial.gateway.principals.sessions import queries as sessions

_EMAIL = re.compile(r"[^@\s<>()\[\]\",;:\\\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]+\.[^@\s.\x00-\x1f\x7f]{2,}")
LONGEST_EMAIL = 254


def address(email: str) -> str:
    """The form in which addresses are compared. Raises ValueError."""
    plain = unicodedata.normalize("NFKC", email).strip().casefold()
    if len(plain) > LONGEST_EMAIL or not _EMAIL.fullmatch(plain):
        raise ValueError("must be an e-mail address")
    return plain


async def add(session: WriteSession, by: Principal, wanted: Mapping[str, str], hashed: str) -> Account:
    """An account (email, name, role) with the hash of a password that must be changed. Raises Conflict."""
    await _check_role(session, by, wanted["role"])
    account = Account(id=str(uuid7()), disabled=False, must_change=True, password=hashed, version=1, **wanted)
    statement = insert(Account).values(
        id=account.id, email=account.email, name=account.name, role=account.role, password=hashed, must_change=True
    )
    made = await session.execute(statement.on_conflict_do_nothing().returning(Account.created_at))
    if made.scalar_one_or_none() is None:
        raise Conflict("email: there is an account with this address", code="email_taken", pointer="/email")
    added = await queries.by_id(session, account.id)
    assert added is not None  # noqa: S101 (just inserted)
    await _noted(session, by, "staff.added", added, {"email": added.email, "role": added.role})
    return added


async def change(
    session: WriteSession, account_id: str, *, by: Principal, expected: int | None, wanted: Mapping[str, Any]
) -> Account:
    """Change name, role or disabled. Raises PreconditionFailed, and Conflict for the last owner."""
    await lock(session, "gateway", "owners")
    account = await _locked(session, by, account_id)
    match(expected, account.version)
    changes = {name: value for name, value in wanted.items() if getattr(account, name) != value}
    if not changes:
        return account
    if "role" in changes:
        await _check_role(session, by, changes["role"])
    if account.role == OWNER and not account.disabled and {"role", "disabled"} & set(changes):
        await _check_not_last(session, account)
    for name, value in changes.items():
        setattr(account, name, value)
    account.version += 1
    await session.flush()
    if {"role", "disabled"} & set(changes):
        await sessions.revoke(session, account.id)
        await announce(session)
    await _noted(session, by, "staff.changed", account, changes)
    return account


async def unlock(session: WriteSession, account_id: str, *, by: Principal) -> Account:
    """Forget the failed attempts of an account."""
    account = await _locked(session, by, account_id)
    await sessions.forget_attempts(session, account.id)
    await _noted(session, by, "staff.unlocked", account)
    return account


async def reset(session: WriteSession, account_id: str, *, by: Principal, hashed: str) -> Account:
    """Give an account a password that must be changed; it is signed out everywhere, and unlocked."""
    account = await _locked(session, by, account_id)
    await set_password(session, account, hashed, must_change=True)
    await sessions.forget_attempts(session, account.id)
    await _noted(session, by, "staff.password_reset", account)
    return account


async def set_password(session: WriteSession, account: Account, hashed: str, *, must_change: bool) -> None:
    """Set a password; whoever knew the old one is signed out."""
    account.password, account.must_change, account.password_set_at = hashed, must_change, datetime.now(UTC)
    account.version += 1
    await session.flush()
    await sessions.revoke(session, account.id)
    await announce(session)


async def seed(session: WriteSession, passwords: Passwords, email: str, password: str) -> None:
    """Make the development owner; another password in the environment replaces the old one."""
    plain = address(email)
    account = await queries.by_email(session, plain)
    if account is not None and await passwords.verify(account.password, normalised(password)):
        return
    hashed = await passwords.hash(normalised(password))
    if account is None:
        account = await add(session, ALMIGHTY, {"email": plain, "name": "Development", "role": OWNER}, hashed)
    await set_password(session, account, hashed, must_change=False)
    await _noted(session, SYSTEM, "staff.seeded", account)


ALMIGHTY = Principal("service", "gateway", frozenset({"*"}), fields=frozenset({"*"}))
"""Who holds the database's password may make anybody an owner."""


async def _locked(session: WriteSession, by: Principal, account_id: str) -> Account:
    account = await queries.by_id(session, account_id, for_update=True)
    if account is None:
        raise missing(account_id)
    await _check_role(session, by, account.role)
    return account


def missing(account_id: str) -> NotFound:
    """There is no such account."""
    return NotFound(f"account_id: there is no account {account_id!r}", pointer="path/account_id")


async def _check_role(session: WriteSession, by: Principal, name: str) -> None:
    if name not in ROLES:
        raise Unprocessable(f"role must be one of {', '.join(ROLES)}", code="unknown_role", pointer="/role")
    grants.check_role(by, name, known.roles(await roles.chosen(session))[name])


async def _check_not_last(session: WriteSession, account: Account) -> None:
    if not await queries.other_owners(session, account.id):
        raise Conflict("account_id: it is the last owner; make another one first", code="last_owner")


async def _noted(
    session: WriteSession, by: Principal, action: str, account: Account, detail: Mapping[str, Any] | None = None
) -> None:
    await audit.record(session, by, action, f"staff/{account.id}", detail)
