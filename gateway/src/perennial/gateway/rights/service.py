"""Routes of the service desk."""

TABLE = {
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
}
