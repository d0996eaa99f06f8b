"""Who may do what: every role, every scope, and the rule of every route of the platform, in one table.

A route that stands here nowhere is answered to nobody. The services check the scopes again, by the internal token.
The table's parts lie in `rights`, by area: a new route gets its line there.
"""

from collections.abc import Iterator

from perennial.gateway.rights import customers, everybody, loyalty, marketing, service, systems
from perennial.gateway.rights.kinds import CUSTOMER, KNOWN, PUBLIC, STAFF, WRITE_KEY
from perennial.gateway.rights.roles import ROLES, Role

__all__ = [
    "CUSTOMER",
    "KNOWN",
    "PUBLIC",
    "ROLES",
    "RULES",
    "SCOPES",
    "STAFF",
    "WRITE_KEY",
    "Role",
    "rule_of",
    "scopes_of",
]

# Each rule, and its routes. A rule is a scope, several of which all are needed, or one of:
#   public      anybody            write key   a source's key, checked by the tracking API itself
#   customer    a customer token   staff       anybody on the staff, whatever the role
#   known       staff and API keys, whatever they may: the service shows to each what is theirs
TABLES = (customers.TABLE, everybody.TABLE, loyalty.TABLE, marketing.TABLE, service.TABLE, systems.TABLE)


def _read() -> Iterator[tuple[tuple[str, str], str]]:
    for rule, lines in (item for table in TABLES for item in table.items()):
        for line in lines.strip().splitlines():
            words = line.split()
            for path in (word for word in words if word.startswith("/")):
                for method in (word for word in words if not word.startswith("/")):
                    yield (method, path), rule


RULES = dict(_read())


def scopes_of(rule: str | None) -> tuple[str, ...]:
    """The scopes that a rule asks for, all of them; none for a rule of another kind."""
    return tuple(rule.split()) if rule is not None and ":" in rule else ()


SCOPES = frozenset(scope for rule in RULES.values() for scope in scopes_of(rule)) | {"webhooks:pii", "operations:read"}


def rule_of(method: str, template: str) -> str | None:
    """The rule of a route by its template; None for a route that nobody has judged."""
    return RULES.get((method, template))
