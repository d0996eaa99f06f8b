"""What tickets holds about persons: a ticket goes with all that was said in it."""

from perennial.common.privacy import Held, Privacy

_TICKETS = "SELECT id FROM ticket WHERE via = ANY(:vias)"

PRIVACY = Privacy(
    tables={
        "ticket_event": Held(f"ticket_id IN ({_TICKETS})", function="erase_ticket_events"),
        "timer": Held(
            f"kind = 'sla' AND split_part(key, ':', 1) IN (SELECT id::text FROM ({_TICKETS}) AS own)",  # noqa: S608 (ours)
            exported=False,
        ),
        "sla_interval": Held(f"ticket_id IN ({_TICKETS})"),
        "sla_clock": Held(f"ticket_id IN ({_TICKETS})"),
        "ticket": Held(),
        "customer_segment": Held("customer_id = ANY(:vias)", exported=False),
        "customer_tier": Held("customer_id = ANY(:vias)", exported=False),
    },
    none={
        "agent": "staff",
        "calendar": "working hours",
        "dispatch_rule": "rules that staff wrote",
        "ticket_type": "forms that staff wrote",
    },
)
