"""What a process keeps in memory of each principal."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from perennial.common.auth import Principal
from perennial.gateway.permissions import ROLES, Role
from perennial.gateway.principals.accounts.models import Account
from perennial.gateway.principals.keys.models import ApiKey
from perennial.gateway.principals.roles.models import RoleFields
from perennial.gateway.principals.sessions.models import Session

NOTHING = Role("", frozenset())


@dataclass(frozen=True, slots=True)
class KnownKey:
    """An API key as a request needs it, by one of its two texts."""

    principal: Principal
    rate_limit: int | None
    expires_at: datetime | None

    def expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class KnownSession:
    """A staff session as a request needs it."""

    id: str
    account_id: str
    role: str
    must_change: bool
    last_seen_at: datetime
    expires_at: datetime


def of_key(key: ApiKey) -> Iterator[tuple[bytes, KnownKey]]:
    """A key by each digest that is good, the one after which it is called last."""
    principal = Principal("api_key", key.id, frozenset(key.scopes), fields=frozenset(key.fields))
    if key.previous_digest is not None and key.previous_until is not None:
        ends = min(key.previous_until, key.expires_at or key.previous_until)
        yield key.previous_digest, KnownKey(principal, key.rate_limit, ends)
    yield key.digest, KnownKey(principal, key.rate_limit, key.expires_at)


def of_session(session: Session, account: Account) -> tuple[bytes, KnownSession]:
    """A session by its digest."""
    return session.digest, KnownSession(
        session.id, account.id, account.role, account.must_change, session.last_seen_at, session.expires_at
    )


def roles(chosen: Iterable[RoleFields]) -> dict[str, Role]:
    """Every role, with the fields that somebody chose for it."""
    fields = {row.role: row.fields for row in chosen if row.fields is not None}
    return {
        name: Role(role.about, role.scopes, frozenset(fields[name])) if name in fields else role
        for name, role in ROLES.items()
    }
