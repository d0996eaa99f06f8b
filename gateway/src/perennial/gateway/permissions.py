"""Who may do what: every role, every scope, and the rule of every route of the platform, in one table.

A route that stands here nowhere is answered to nobody. The services check the scopes again, by the internal token.
"""

from collections.abc import Iterator
from dataclasses import dataclass

PUBLIC, WRITE_KEY, CUSTOMER, STAFF, KNOWN = "public", "write key", "customer", "staff", "known"


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

# Each rule, and its routes. A rule is a scope, several of which all are needed, or one of:
#   public      anybody            write key   a source's key, checked by the tracking API itself
#   customer    a customer token   staff       anybody on the staff, whatever the role
#   known       staff and API keys, whatever they may: the service shows to each what is theirs
_TABLE = {
    PUBLIC: """
        GET  /openapi.json /asyncapi.json /docs /docs/docs.js /docs/docs.css /healthz /readyz /metrics
        GET  /v1/staff/oidc
        POST /v1/staff/sessions /v1/m /rsaMetrics
    """,
    STAFF: """
        GET  /v1/staff/me /v1/staff/sessions
        PUT  /v1/staff/me/password
        DELETE /v1/staff/sessions/{session_id}
    """,
    KNOWN: """
        GET  /v1/operations/gateway /v1/operations/gateway/{operation_id}
        GET  /v1/operations/gateway/{operation_id}/files/{name}
        POST /v1/operations/gateway/{operation_id}/cancel
        GET  /v1/operations/profile /v1/operations/profile/{operation_id}
        GET  /v1/operations/profile/{operation_id}/files/{name}
        POST /v1/operations/profile/{operation_id}/cancel
        GET  /v1/operations/loyalty /v1/operations/loyalty/{operation_id}
        GET  /v1/operations/loyalty/{operation_id}/files/{name}
        POST /v1/operations/loyalty/{operation_id}/cancel
        GET  /v1/operations/segments /v1/operations/segments/{operation_id}
        GET  /v1/operations/segments/{operation_id}/files/{name}
        POST /v1/operations/segments/{operation_id}/cancel
    """,
    CUSTOMER: """
        GET  /v1/me/consents /v1/me/consents/history /v1/me/erasure /v1/me/export /v1/me/export/file
        PUT  /v1/me/consents
        POST /v1/me/erasure /v1/me/export
        GET  /v1/me /v1/me/loyalty /v1/me/loyalty/ledger /v1/me/tickets /v1/me/tickets/{ticket_id}
        GET  /v1/me/tickets/{ticket_id}/events
        GET  /v1/me/redemptions /v1/me/rewards /v1/me/membership /v1/me/referral /v1/me/loyalty/tier
        POST /v1/me/redemptions /v1/me/redemptions/{redemption_id}/cancel /v1/me/referral
        GET  /v1/me/check-in /v1/me/loyalty/ledger/{posting_id}/explain /v1/me/loyalty/content
        POST /v1/me/check-in /v1/me/loyalty/preview
        POST /v1/me/loyalty/spend /v1/me/tickets /v1/me/tickets/{ticket_id}/comments
        POST /v1/me/tickets/{ticket_id}/rating
    """,
    "audit:read": """
        GET  /v1/audit/campaigns /v1/audit/campaigns/head /v1/audit/gateway /v1/audit/gateway/head
        GET  /v1/audit/identity /v1/audit/identity/head /v1/audit/integrations /v1/audit/integrations/head
        GET  /v1/audit/loyalty /v1/audit/loyalty/head /v1/audit/profile /v1/audit/profile/head
        GET  /v1/audit/segments /v1/audit/segments/head /v1/audit/tickets /v1/audit/tickets/head
    """,
    "campaigns:read": """
        GET  /v1/channels /v1/channels/{name} /v1/enrolments/{enrolment_id} /v1/journeys /v1/journeys/{journey_id}
        GET  /v1/journeys/{journey_id}/enrolments /v1/journeys/{journey_id}/funnel /v1/journeys/{journey_id}/refusals
        GET  /v1/journeys/{journey_id}/versions /v1/messages /v1/messages/summary /v1/messages/{message_id}
    """,
    "campaigns:write": """
        POST /v1/journeys /v1/journeys/{journey_id}/pause
        PUT PATCH DELETE /v1/journeys/{journey_id}
    """,
    "campaigns:send": """
        POST /v1/journeys/{journey_id}/enrol /v1/journeys/{journey_id}/publish /v1/journeys/{journey_id}/resume
    """,
    "campaigns:manage": """
        PUT  /v1/channels/{name}
    """,
    "customers:read": """
        GET  /v1/customers /v1/customers/summary /v1/customers/{id} /v1/customers/{id}/events /v1/events/{message_id}
        GET  /v1/orders/summary /v1/customers/{id}/timeline
        GET  /v1/customers/{id}/tags /v1/customers/{id}/tags/{key}/explain /v1/customers/{id}/stages
        GET  /v1/tags/summary /v1/lifecycle/summary
        GET  /v1/customers/{id}/computed-traits /v1/customers/{id}/computed-traits/{key}
        GET  /v1/customers/{id}/traits/{key} /v1/customers/{id}/traits/{key}/history /v1/traits/form
    """,
    "customers:export": """
        POST /v1/exports
    """,
    "customers:import": """
        GET  /v1/imports/{import_id} /v1/import-mappings /v1/import-mappings/{name}
        POST /v1/imports /v1/imports/{import_id}/check /v1/imports/{import_id}/run /v1/import-mappings
        POST /v1/customers/known /v1/customers/importable
        DELETE /v1/import-mappings/{name}
    """,
    "customers:write": """
        POST /v1/tags/{key}/assignments
        PUT DELETE /v1/customers/{id}/tags/{key} /v1/customers/{id}/stage
        PATCH /v1/customers/{id}/traits
    """,
    "schema:read": """
        GET  /v1/computed-traits /v1/computed-traits/{key}
        GET  /v1/timeline/retention
        GET  /v1/tags /v1/tags/{key} /v1/tags/{key}/versions /v1/topics /v1/topics/{key}
        GET  /v1/lifecycle /v1/lifecycle/ladders/{key}
        GET  /v1/traits /v1/traits/proposed /v1/traits/refused /v1/traits/{key} /v1/traits/{key}/versions
    """,
    "schema:write": """
        POST /v1/computed-traits
        PUT DELETE /v1/computed-traits/{key}
        POST /v1/tags /v1/traits /v1/traits/{key}/adopt /v1/traits/{key}/archive
        PUT  /v1/traits/{key}
        PATCH DELETE /v1/tags/{key}
        PUT DELETE /v1/topics/{key}
        PUT  /v1/lifecycle /v1/lifecycle/ladders/{key}
    """,
    "retention:write": """
        PUT  /v1/timeline/retention
    """,
    "quality:read": """
        GET  /v1/quality/rules /v1/quality/rules/{id} /v1/quality/rules/{id}/versions /v1/quality/settings
        GET  /v1/quality/findings /v1/quality/report /v1/quality/sources /v1/quality/sources/{source}
    """,
    "quality:write": """
        POST /v1/quality/rules /v1/quality/rules/{id}/apply /v1/quality/rules/{id}/restore
        POST /v1/quality/findings/{id}/release
        PUT  /v1/quality/settings
        PUT DELETE /v1/quality/rules/{id}
    """,
    "customers:reveal customers:read": """
        POST /v1/customers/{id}/reveal /v1/events/{message_id}/reveal
    """,
    "customers:reveal identities:read": """
        POST /v1/customers/{customer_id}/identifiers/reveal
    """,
    "customers:reveal campaigns:read": """
        POST /v1/messages/{message_id}/reveal
    """,
    "customers:reveal tickets:read": """
        POST /v1/tickets/{ticket_id}/reveal
    """,
    "identities:read": """
        GET  /v1/conflicts /v1/customers/{customer_id}/identifiers /v1/identifiers /v1/identity/parked /v1/merges
        GET  /v1/merges/{merge_id} /v1/identity/policy /v1/identity/policy/versions /v1/suggestions
        GET  /v1/splits /v1/splits/{split_id} /v1/suggestions/{suggestion_id} /v1/conflicts/{conflict_id}
        GET  /v1/customers/{customer_id}/explain /v1/customers/{customer_id}/identity /v1/shared-identifiers
    """,
    "identities:write": """
        POST /v1/identity/parked/replay /v1/merges /v1/merges/{merge_id}/undo /v1/splits /v1/splits/{split_id}/undo
        POST /v1/suggestions/{suggestion_id}/approve /v1/suggestions/{suggestion_id}/reject
        POST /v1/conflicts/{conflict_id}/approve /v1/conflicts/{conflict_id}/dismiss
    """,
    "identities:manage": """
        PUT  /v1/identity/policy
        POST /v1/identifiers/{identifier_id}/share /v1/identifiers/{identifier_id}/unshare
    """,
    "privacy:read": """
        GET  /v1/erasures /v1/erasures/{erasure_id} /v1/consent-purposes /v1/consent-texts
        GET  /v1/customers/{id}/consents /v1/customers/{id}/consents/history
    """,
    "customers:reveal privacy:write": """
        POST /v1/customers/{id}/export
    """,
    "privacy:write": """
        POST /v1/erasures /v1/erasures/{erasure_id}/approve /v1/erasures/{erasure_id}/refuse /v1/consent-texts
        POST /v1/customers/{id}/consents
        PUT  /v1/consent-purposes/{key}
    """,
    "keys:read": """
        GET  /v1/api-keys /v1/api-keys/{key_id}
    """,
    "keys:write": """
        POST /v1/api-keys /v1/api-keys/{key_id}/rotate
        DELETE /v1/api-keys/{key_id}
    """,
    "tokens:mint": """
        POST /v1/customer-tokens
    """,
    "tokens:read": """
        GET  /v1/token-issuers /v1/token-issuers/{issuer_id}
    """,
    "tokens:write": """
        POST /v1/token-issuers
        PATCH DELETE /v1/token-issuers/{issuer_id}
    """,
    "staff:read": """
        GET  /v1/roles /v1/roles/{name} /v1/staff/accounts /v1/staff/accounts/{account_id}
    """,
    "staff:write": """
        POST /v1/staff/accounts /v1/staff/accounts/{account_id}/reset-password
        POST /v1/staff/accounts/{account_id}/unlock
        PUT  /v1/roles/{name}/fields
        PATCH /v1/staff/accounts/{account_id}
    """,
    "loyalty:read": """
        GET  /v1/loyalty/accounts /v1/loyalty/accounts/{customer_id} /v1/loyalty/accounts/{customer_id}/ledger
        GET  /v1/loyalty/accounts/{customer_id}/redemptions /v1/redemptions /v1/redemptions/{redemption_id}
        GET  /v1/loyalty/accounts/{customer_id}/tier /v1/loyalty/accounts/{customer_id}/tier-history
        GET  /v1/loyalty/accounts/{customer_id}/tier-overrides
        GET  /v1/loyalty/referrals /v1/loyalty/referrals/{referral_id}
        GET  /v1/loyalty/accounts/{customer_id}/referrals/tree
        GET  /v1/loyalty/debts /v1/loyalty/memberships /v1/loyalty/accounts/{customer_id}/memberships
        GET  /v1/rewards /v1/rewards/{reward_id}
        GET  /v1/loyalty/content /v1/loyalty/content/{content_id}
        GET  /v1/loyalty/explain /v1/loyalty/accounts/{customer_id}/ledger/{posting_id}/explain
        POST /v1/loyalty/preview
        GET  /v1/loyalty/programme /v1/loyalty/summary /v1/loyalty/reports /v1/loyalty/reports/{name}
    """,
    "loyalty:write": """
        POST /v1/loyalty/accounts/{customer_id}/spend /v1/loyalty/accounts/{customer_id}/redemptions
        POST /v1/loyalty/releases
        POST /v1/redemptions/{redemption_id}/cancel /v1/redemptions/{redemption_id}/confirm
        POST /v1/redemptions/{redemption_id}/fulfil
    """,
    "loyalty:adjust": """
        POST /v1/loyalty/accounts/{customer_id}/adjust /v1/loyalty/debts/{debt_id}/decide
        POST /v1/loyalty/accounts/{customer_id}/tier-overrides
        DELETE /v1/loyalty/accounts/{customer_id}/tier-overrides/{override_id}
    """,
    "loyalty:manage": """
        POST /v1/loyalty/content/{content_id}/approve /v1/loyalty/content/{content_id}/reject
        POST /v1/loyalty/content/{content_id}/remove
        POST /v1/loyalty/referrals/{referral_id}/approve /v1/loyalty/referrals/{referral_id}/reject
        GET  /v1/rewards/{reward_id}/codes
        POST /v1/rewards /v1/rewards/{reward_id}/codes /v1/loyalty/programme/simulate
        POST /v1/loyalty/reports/refresh
        PUT  /v1/loyalty/programme /v1/rewards/{reward_id}
    """,
    "segments:read": """
        GET  /v1/rfm/customers /v1/rfm/customers/{customer_id} /v1/rfm/report /v1/rfm/runs /v1/rfm/runs/{run_id}
        GET  /v1/rfm/runs/{run_id}/flow /v1/rfm/settings /v1/rfm/summary /v1/segments /v1/segments/{segment_id}
        GET  /v1/segments/{segment_id}/members /v1/segments/{segment_id}/members/{customer_id}/explain
        GET  /v1/segments/{segment_id}/versions /v1/segments/{segment_id}/dependencies
        GET  /v1/customers/{customer_id}/segments /v1/customers/{customer_id}/segments/history
        GET  /v1/segments/presets
        POST /v1/segments/preview
    """,
    "segments:write": """
        PUT  /v1/rfm/settings
        POST /v1/rfm/runs
        POST /v1/segments /v1/segments/{segment_id}/publish /v1/segments/{segment_id}/versions/{version}/restore
        POST /v1/segments/{segment_id}/members /v1/segments/{segment_id}/members/remove
        POST /v1/segments/{segment_id}/imports
        PUT PATCH DELETE /v1/segments/{segment_id}
    """,
    "sources:read": """
        GET  /v1/sources /v1/sources/{source_id} /v1/sources/{source_id}/violations
        GET  /v1/sources/{source_id}/violations/summary /v1/sources/{source_id}/tracking-plan
        GET  /v1/sources/{source_id}/tracking-plan/versions /v1/sources/{source_id}/tracking-plan/versions/{version}
        POST /v1/sources/{source_id}/tracking-plan/check
    """,
    "sources:write": """
        POST /v1/sources /v1/sources/{source_id}/disable /v1/sources/{source_id}/enable
        POST /v1/sources/{source_id}/rotate-key /v1/sources/{source_id}/violations/replay
        PATCH /v1/sources/{source_id}
        DELETE /v1/sources/{source_id}/write-keys/{key}
        PUT DELETE /v1/sources/{source_id}/tracking-plan
    """,
    "tickets:read": """
        GET  /v1/agents /v1/agents/{agent_id} /v1/calendars /v1/calendars/{key} /v1/dispatch-rules
        GET  /v1/dispatch-rules/{rule_id} /v1/ticket-types /v1/ticket-types/{key} /v1/tickets /v1/tickets/summary
        GET  /v1/tickets/{ticket_id} /v1/tickets/{ticket_id}/events
    """,
    "tickets:write": """
        POST /v1/tickets /v1/tickets/{ticket_id}/assign /v1/tickets/{ticket_id}/close /v1/tickets/{ticket_id}/comments
        POST /v1/tickets/{ticket_id}/rating /v1/tickets/{ticket_id}/transition
        PUT  /v1/agents/{agent_id}/presence
    """,
    "tickets:manage": """
        POST /v1/agents /v1/calendars /v1/dispatch-rules /v1/ticket-types
        PUT  /v1/calendars/{key} /v1/dispatch-rules/{rule_id} /v1/ticket-types/{key}
        PATCH /v1/agents/{agent_id}
        DELETE /v1/dispatch-rules/{rule_id}
    """,
    "webhooks:read": """
        GET  /v1/webhooks /v1/webhooks/{webhook_id} /v1/webhooks/{webhook_id}/attempts
        GET  /v1/webhooks/{webhook_id}/messages
    """,
    "webhooks:write": """
        POST /v1/webhooks /v1/webhooks/{webhook_id}/messages/{message_id}/resend /v1/webhooks/{webhook_id}/recover
        POST /v1/webhooks/{webhook_id}/rotate-secret /v1/webhooks/{webhook_id}/test
        PATCH DELETE /v1/webhooks/{webhook_id}
    """,
    WRITE_KEY: """
        GET  /v1/projects/{key}/settings /sourceConfig
        POST /v1/batch /v1/b /v1/import /beacon/v1/batch /v1/identify /v1/i /v1/track /v1/t /v1/page /v1/p /v1/screen
        POST /v1/s /v1/group /v1/g /v1/alias /v1/a
        POST /api/s/identify /api/s/track /api/s/page /api/s/screen /api/s/group /api/s/alias
        POST /api/s/s2s/identify /api/s/s2s/track /api/s/s2s/page /api/s/s2s/screen /api/s/s2s/group /api/s/s2s/alias
    """,
}


def _read() -> Iterator[tuple[tuple[str, str], str]]:
    for rule, lines in _TABLE.items():
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
