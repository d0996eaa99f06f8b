"""The principals of the deployment, as one process holds them: kept through an outage of the database."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from perennial.common.auth import Principal
from perennial.common.db import Database, ReadSession
from perennial.gateway.permissions import ROLES
from perennial.gateway.principals import known
from perennial.gateway.principals.accounts.models import Account
from perennial.gateway.principals.issuers import queries as issuers
from perennial.gateway.principals.issuers.models import TokenIssuer
from perennial.gateway.principals.keys import queries as keys
from perennial.gateway.principals.known import KnownKey, KnownSession
from perennial.gateway.principals.lookups import Lookups
from perennial.gateway.principals.roles import queries as roles
from perennial.gateway.principals.sessions import queries as sessions
from perennial.gateway.principals.sessions.models import Session

NOTED = timedelta(minutes=1)  # so often a session's use is written down
GRACE = 2 * NOTED


class Memory:
    """Live keys and sessions, roles, and issuers of customer tokens."""

    def __init__(self, database: Database, idle: timedelta, reading: asyncio.Lock) -> None:
        """`reading` is held by whoever reads, so that nobody brings back what a later reader saw revoked."""
        self._database = database
        self._idle = idle
        self._reading = reading
        self.keys: dict[bytes, KnownKey] = {}
        self.keys_by_id: dict[str, KnownKey] = {}
        self.sessions: dict[bytes, KnownSession] = {}
        self._digests: dict[str, bytes] = {}  # of sessions, by their id
        self.roles = dict(ROLES)
        self.issuers: dict[str, TokenIssuer] = {}
        self._texts = Lookups[bytes](self._ask_texts)
        self._ids = Lookups[str](self._ask_ids)
        self._session_ids = Lookups[str](self._ask_session_ids)
        self.used_keys: dict[str, datetime] = {}
        self.used_sessions: dict[str, datetime] = {}

    async def read(self, session: ReadSession) -> None:
        """Read everything again."""
        live = [pair for key in await keys.live(session) for pair in known.of_key(key)]
        found = await sessions.live(session, self._idle + GRACE)
        self.roles = known.roles(await roles.chosen(session))
        self.issuers = {row.issuer: row for row in await issuers.enabled(session)}
        self.keys = dict(live)
        self.keys_by_id = {key.principal.id: key for _, key in live}
        self.sessions, self._digests = {}, {}
        self._learn_sessions(found)

    async def key(self, digest: bytes, *, look: bool) -> KnownKey | None:
        """The key of a text; `look` asks the database when this process does not know it."""
        if digest not in self.keys and look:
            await self._texts.look(digest)
        return self.keys.get(digest)

    async def key_by_id(self, key_id: str) -> KnownKey | None:
        """The key of an id that stands in a token of ours."""
        if key_id not in self.keys_by_id:
            await self._ids.look(key_id)
        return self.keys_by_id.get(key_id)

    async def session(self, digest: bytes, *, look: bool = True) -> KnownSession | None:
        """The session of a token, unless it has ended or was idle for too long in every process."""
        found = self.sessions.get(digest)
        if found is not None and self._idles(found):
            del self.sessions[digest]  # another process may have seen it since
        if digest not in self.sessions and look:
            await self._texts.look(digest)
        found = self.sessions.get(digest)
        if found is None or found.expires_at <= datetime.now(UTC) or self._idles(found):
            return None
        return found

    async def session_by_id(self, session_id: str) -> KnownSession | None:
        """The session of an id that stands in a token of ours."""
        if session_id not in self._digests:
            await self._session_ids.look(session_id)
        digest = self._digests.get(session_id)
        return await self.session(digest) if digest is not None else None

    def touch_key(self, key: KnownKey) -> None:
        """Note that a key was used, to the minute."""
        self.used_keys[key.principal.id] = _minute()

    def touch_session(self, digest: bytes, session: KnownSession) -> None:
        """Note that a session was used, to the minute or so."""
        now = datetime.now(UTC)
        if now - session.last_seen_at >= min(NOTED, self._idle / 10):
            self.sessions[digest] = replace(session, last_seen_at=now)
            self.used_sessions[session.id] = now

    async def flush(self) -> None:
        """Write down what was used. What cannot be written is kept for the next time."""
        used, seen = self.used_keys, self.used_sessions
        if not used and not seen:
            return
        self.used_keys, self.used_sessions = {}, {}
        try:
            async with self._database.write() as session:
                await keys.mark_used(session, used)
                await sessions.mark_seen(session, seen)
        except BaseException:
            self.used_keys = used | self.used_keys
            self.used_sessions = seen | self.used_sessions
            raise

    def rate_limit_of(self, principal: Principal) -> int | None:
        """Requests per minute, where an API key has a limit of its own."""
        key = self.keys_by_id.get(principal.id) if principal.kind == "api_key" else None
        return key.rate_limit if key is not None else None

    def _idles(self, session: KnownSession) -> bool:
        return session.last_seen_at + self._idle <= datetime.now(UTC)

    async def _ask_texts(self, digests: Sequence[bytes]) -> set[bytes]:
        async with self._reading, self._database.read() as session:
            live = [pair for key in await keys.live_among(session, digests, ()) for pair in known.of_key(key)]
            rows = await sessions.live_among(session, self._idle, digests=digests)
            self._learn(live)
            self._learn_sessions(rows)
        return {digest for digest, _ in live} | {row.digest for row, _ in rows}

    async def _ask_ids(self, ids: Sequence[str]) -> set[str]:
        async with self._reading, self._database.read() as session:
            live = [pair for key in await keys.live_among(session, (), ids) for pair in known.of_key(key)]
            self._learn(live)
        return {key.principal.id for _, key in live}

    async def _ask_session_ids(self, ids: Sequence[str]) -> set[str]:
        async with self._reading, self._database.read() as session:
            rows = await sessions.live_among(session, self._idle, ids=ids)
            self._learn_sessions(rows)
        return {row.id for row, _ in rows}

    def _learn_sessions(self, rows: Sequence[tuple[Session, Account]]) -> None:
        found = dict(known.of_session(row, account) for row, account in rows)
        for digest, session in found.items():
            seen = self.used_sessions.get(session.id, session.last_seen_at)
            if seen > session.last_seen_at:
                found[digest] = replace(session, last_seen_at=seen)
        self.sessions |= found
        self._digests |= {session.id: digest for digest, session in found.items()}

    def _learn(self, live: Sequence[tuple[bytes, KnownKey]]) -> None:
        self.keys |= dict(live)
        self.keys_by_id |= {key.principal.id: key for _, key in live}


def _minute() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0)
