"""Routes of customers: who they are, what is known of them, how good that is, privacy."""

TABLE = {
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
}
