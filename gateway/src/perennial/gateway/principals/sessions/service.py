"""The verbs of staff sessions: open one by password, end one, choose a new password.

An attempt is counted and committed before the password is looked at, so guesses side by side cannot outrun the count.
Whatever the reason, a refusal is the same, and as much work: an unknown address, a disabled account and a locked one.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from perennial.common import audit
from perennial.common.auth import Principal
from perennial.common.db import Database, WriteSession
from perennial.common.problems import Conflict, NotFound, Problem, Unauthorized, Unprocessable
from perennial.gateway import limits
from perennial.gateway.announcing import SYSTEM, announce
from perennial.gateway.limits import Limiter, Policy
from perennial.gateway.principals import texts
from perennial.gateway.principals.accounts import queries as accounts
from perennial.gateway.principals.accounts import service as account_verbs
from perennial.gateway.principals.accounts.models import Account
from perennial.gateway.principals.accounts.passwords import Passwords, normalised, wrong_with
from perennial.gateway.principals.sessions import queries
from perennial.gateway.principals.sessions.models import Session
from perennial.gateway.rates import bucket_of
from perennial.gateway.settings import GatewaySettings

ONE_TIME_DAYS = 7
BUCKETS = 65_536  # failed attempts on addresses that have no account


class Opened(NamedTuple):
    """A new session and its token, which is shown once."""

    session: Session
    account: Account
    token: str


class Logins:
    """Opens sessions."""

    def __init__(self, database: Database, passwords: Passwords, settings: GatewaySettings) -> None:
        self._database = database
        self.passwords = passwords
        self.idle = timedelta(seconds=settings.staff_idle_seconds)
        self._lasts = timedelta(seconds=settings.staff_session_seconds)
        self._policy = Policy("login", settings.logins_per_address, 60)
        self._addresses = Limiter()

    async def open(self, email: str, password: str, user_agent: str, peer: str) -> Opened:
        """A new session. Raises Unauthorized, or a problem (429) for an address that tries too often."""
        taken = self._addresses.take(bucket_of(peer), self._policy)
        if not taken.allowed:
            raise limits.refused(self._policy, taken)
        try:
            address = account_verbs.address(email)
        except ValueError:
            address = ""
        account = await self._verified(address, password)
        if account is None:
            raise _refused()
        async with self._database.write() as session:
            account = await self._unchanged(session, account)
            account.last_login_at = datetime.now(UTC)
            made, token = await self._new(session, account, user_agent)
            by = Principal("staff", account.id, frozenset())
            await audit.record(session, by, "staff.session_opened", f"staff/{account.id}", {"session": made.id})
        return Opened(made, account, token)

    async def choose_password(self, by: Principal, current: str, new: str, user_agent: str) -> Opened:
        """Change one's own password: every session ends, and a new one is opened. Raises Unprocessable."""
        async with self._database.read() as session:
            account = await accounts.by_id(session, by.id)
        if account is None:
            raise Conflict("your password is kept by the OpenID provider", code="no_password")
        chosen = normalised(new)
        wrong = wrong_with(chosen, account.email)
        if wrong is None and normalised(current) == chosen:
            wrong = "must differ from the present one"
        if wrong is not None:
            raise Unprocessable(f"new_password {wrong}", code="weak_password", pointer="/new_password")
        verified = await self._verified(account.email, current)
        if verified is None:
            raise Unprocessable(
                "current_password is wrong, or was wrong too often", code="wrong_password", pointer="/current_password"
            )
        hashed = await self.passwords.hash(chosen)
        async with self._database.write() as session:
            account = await self._unchanged(session, verified)
            await account_verbs.set_password(session, account, hashed, must_change=False)
            made, token = await self._new(session, account, user_agent)
            await audit.record(session, by, "staff.password_changed", f"staff/{account.id}", {"session": made.id})
        return Opened(made, account, token)

    async def _new(self, session: WriteSession, account: Account, user_agent: str) -> tuple[Session, str]:
        name = texts.new_id()
        token = texts.new_text(texts.SESSION, name)
        made = Session(
            id=name, account_id=account.id, digest=texts.digest(token), user_agent=_printable(user_agent)[:200],
            expires_at=datetime.now(UTC) + self._lasts,
        )  # fmt: skip
        session.add(made)
        await session.flush()
        await session.refresh(made)
        return made, token

    async def _verified(self, address: str, password: str) -> Account | None:
        """The account of an address, if the password is its own and it is not locked out."""
        async with self._database.write() as session:
            account = await accounts.by_email(session, address)
            key = account.id if account is not None else _bucket(address)
            failures = await queries.take_attempt(session, key)
        good = await self.passwords.verify(account.password if account is not None else None, normalised(password))
        if account is None or failures is None or not good or not _may(account):
            if failures is not None and failures >= queries.FREE:
                await self._note_lockout(key, failures)
            return None
        return account

    async def _note_lockout(self, key: str, failures: int) -> None:
        async with self._database.write() as session:
            await audit.record(session, SYSTEM, "staff.locked_out", f"staff/{key}", {"attempts": failures})

    async def _unchanged(self, session: WriteSession, account: Account) -> Account:
        """The account, if nobody changed or disabled it while its password was looked at."""
        found = await accounts.by_id(session, account.id, for_update=True)
        if found is None or found.password != account.password or found.disabled:
            raise _refused()
        await queries.forget_attempts(session, account.id)
        return found


async def end(session: WriteSession, account_id: str, session_id: str, *, by: Principal) -> None:
    """Sign out of one of one's own sessions. Raises NotFound."""
    if not await queries.revoke(session, account_id, session_id):
        raise NotFound(f"session_id: you have no session {session_id!r}", pointer="path/session_id")
    await announce(session)
    await audit.record(session, by, "staff.session_ended", f"staff/{account_id}", {"session": session_id})


def _may(account: Account) -> bool:
    fresh = account.password_set_at > datetime.now(UTC) - timedelta(days=ONE_TIME_DAYS)
    return not account.disabled and (fresh or not account.must_change)


def _refused() -> Problem:
    return Unauthorized(
        "email or password is wrong, or they were wrong too often", code="invalid_credentials",
        headers={"WWW-Authenticate": "Bearer"},
    )  # fmt: skip


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())


def _bucket(address: str) -> str:
    hashed = hashlib.sha256(address.encode("utf-8", "surrogatepass")).digest()
    return f"nobody:{int.from_bytes(hashed[:4], 'big') % BUCKETS}"
