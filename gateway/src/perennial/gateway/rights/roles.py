"""What staff in each role may do."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Role:
    """What staff in a role may do (scopes) and see in clear besides public fields (fields, their classes, or `*`)."""

    about: str
    scopes: frozenset[str]
    fields: frozenset[str] = frozenset()


def _role(about: str, scopes: str, fields: str = "") -> Role:
    return Role(about, frozenset(scopes.split()), frozenset(fields.split()))


ROLES = {
    "owner": _role("Everything, people and keys included.", "*", "*"),
    "admin": _role(
        "Runs the platform; what it reveals is on the record.",
        """customers:read customers:reveal identities:* segments:* campaigns:* loyalty:* tickets:* webhooks:* sources:*
        keys:* tokens:* staff:* audit:read operations:read privacy:* customers:write schema:* customers:import
        customers:export quality:* retention:write""",
        "personal",
    ),
    "marketer": _role(
        "Segments and campaigns, and what came of them.",
        """customers:read segments:* campaigns:read campaigns:write campaigns:send loyalty:read customers:write schema:*
        customers:import customers:export quality:read""",
        "personal",
    ),
    "loyalty_manager": _role(
        "The loyalty programme and its accounts.",
        "customers:read segments:read loyalty:* schema:read",
        "personal",
    ),
    "agent": _role(
        "Serves customers: tickets, and what helps to answer them; reveals are on the record.",
        """customers:read customers:reveal customers:write identities:read loyalty:read loyalty:write tickets:read
        tickets:write""",
        "personal",
    ),
    "service_manager": _role(
        "Runs the service desk.",
        """customers:read customers:reveal customers:write identities:read identities:write loyalty:* tickets:*
        privacy:read schema:read""",
        "personal",
    ),
    "analyst": _role(
        "Reads figures and lists, and nobody's name.",
        """customers:read segments:read segments:write campaigns:read loyalty:read tickets:read schema:read
        quality:read""",
    ),
    "developer": _role(
        "Connects systems: sources, keys, webhooks.",
        "customers:read identities:read sources:* keys:* webhooks:* schema:* quality:*",
    ),
    "auditor": _role("Reads who did what.", "audit:read"),
}
