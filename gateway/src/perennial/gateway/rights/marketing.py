"""Routes of segments and campaigns."""

TABLE = {
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
    "segments:read": """
        GET  /v1/rfm/customers /v1/rfm/customers/{customer_id} /v1/rfm/report /v1/rfm/runs /v1/rfm/runs/{run_id}
        GET  /v1/rfm/runs/{run_id}/flow /v1/rfm/settings /v1/rfm/summary /v1/segments /v1/segments/{segment_id}
        GET  /v1/segments/{segment_id}/members /v1/segments/{segment_id}/members/{customer_id}/explain
        GET  /v1/segments/{segment_id}/versions /v1/segments/{segment_id}/dependencies
        GET  /v1/customers/{customer_id}/segments /v1/customers/{customer_id}/segments/history
        GET  /v1/segments/presets /v1/rules/schema
        POST /v1/segments/preview /v1/rules/describe /v1/rules/parse
    """,
    "segments:write": """
        PUT  /v1/rfm/settings
        POST /v1/rfm/runs
        POST /v1/segments /v1/segments/{segment_id}/publish /v1/segments/{segment_id}/versions/{version}/restore
        POST /v1/segments/{segment_id}/members /v1/segments/{segment_id}/members/remove
        POST /v1/segments/{segment_id}/imports /v1/segments/{segment_id}/announce
        PUT PATCH DELETE /v1/segments/{segment_id}
    """,
}
