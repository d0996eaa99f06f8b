"""What campaigns holds about persons."""

from perennial.common.privacy import Held, Privacy

_WALKS = "SELECT id FROM enrolment WHERE via = ANY(:vias)"

PRIVACY = Privacy(
    tables={
        "message": Held(),
        "enrolment_step": Held(f"enrolment_id IN ({_WALKS})"),
        "timer": Held(f"kind = 'step' AND key IN (SELECT id::text FROM ({_WALKS}) AS walk)", exported=False),  # noqa: S608 (ours)
        "enrolment": Held(),
        "refused_entry": Held(),
        "consent": Held(exported=False),
        "segment_membership": Held("customer_id = ANY(:vias)"),
        "event": Held(),
        "trait": Held(),
    },
    none={
        "channel": "settings",
        "interest": "names of events",
        "journey": "what staff has drawn",
        "journey_version": "what staff has drawn",
    },
)
