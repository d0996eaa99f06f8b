"""Routes of sources, keys, webhooks, the staff, and the record."""

TABLE = {
    "audit:read": """
        GET  /v1/audit/campaigns /v1/audit/campaigns/head /v1/audit/gateway /v1/audit/gateway/head
        GET  /v1/audit/identity /v1/audit/identity/head /v1/audit/integrations /v1/audit/integrations/head
        GET  /v1/audit/loyalty /v1/audit/loyalty/head /v1/audit/profile /v1/audit/profile/head
        GET  /v1/audit/segments /v1/audit/segments/head /v1/audit/tickets /v1/audit/tickets/head
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
    "webhooks:read": """
        GET  /v1/webhooks /v1/webhooks/{webhook_id} /v1/webhooks/{webhook_id}/attempts
        GET  /v1/webhooks/{webhook_id}/messages
    """,
    "webhooks:write": """
        POST /v1/webhooks /v1/webhooks/{webhook_id}/messages/{message_id}/resend /v1/webhooks/{webhook_id}/recover
        POST /v1/webhooks/{webhook_id}/rotate-secret /v1/webhooks/{webhook_id}/test
        PATCH DELETE /v1/webhooks/{webhook_id}
    """,
}
