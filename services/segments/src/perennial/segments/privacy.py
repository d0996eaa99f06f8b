"""What segments holds about persons."""

from perennial.common.privacy import Held, Privacy

PRIVACY = Privacy(
    tables={
        "membership": Held("customer_id = ANY(:vias)"),
        "membership_change": Held("customer_id = ANY(:vias)"),
        "rfm": Held("customer_id = ANY(:vias)"),
        "purchase": Held(),
        "event": Held(),
        "trait": Held(),
    },
    none={"segment": "rules that staff wrote", "rfm_run": "figures of everybody"},
)
