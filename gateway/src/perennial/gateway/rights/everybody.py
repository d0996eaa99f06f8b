"""Routes that ask for no scope: of anybody, of customers, of the staff as such, of write keys."""

from perennial.gateway.rights.kinds import CUSTOMER, KNOWN, PUBLIC, STAFF, WRITE_KEY

TABLE = {
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
    WRITE_KEY: """
        GET  /v1/projects/{key}/settings /sourceConfig
        POST /v1/batch /v1/b /v1/import /beacon/v1/batch /v1/identify /v1/i /v1/track /v1/t /v1/page /v1/p /v1/screen
        POST /v1/s /v1/group /v1/g /v1/alias /v1/a
        POST /api/s/identify /api/s/track /api/s/page /api/s/screen /api/s/group /api/s/alias
        POST /api/s/s2s/identify /api/s/s2s/track /api/s/s2s/page /api/s/s2s/screen /api/s/s2s/group /api/s/s2s/alias
    """,
}
