"""What segments holds about persons."""

from perennial.common.privacy import Files, Held, Privacy
from perennial.segments.lists.service import IMPORT

PRIVACY = Privacy(
    tables={
        "membership": Held("customer_id = ANY(:vias)"),
        "membership_change": Held("segment_id IN (SELECT id FROM segment) AND customer_id = ANY(:vias)", key="id"),
        "staged_member": Held("customer_id = ANY(:vias)", exported=False),
        "build_touched": Held("customer_id = ANY(:vias)", exported=False),
        "list_member": Held(),
        "rfm": Held("customer_id = ANY(:vias)"),
        "rfm_standing": Held("customer_id = ANY(:vias)"),
        "rfm_touched": Held("customer_id = ANY(:vias)", exported=False),
        "purchase": Held(),
        "event": Held(),
        "trait": Held(),
        "derived_trait": Held("customer_id = ANY(:vias)", exported=False),
    },
    none={
        "segment": "rules that staff wrote",
        "event_keeping": "how long events are kept",
        "history_keeping": "how long changes are kept",
        "build": "what is being computed",
        "segment_version": "rules that staff wrote",
        "segment_user": "rules that staff wrote",
        "trait_definition": "names of traits",
        "rfm_setting": "how standings are computed",
        "rfm_scoring": "figures of everybody",
        "rfm_model": "figures of everybody",
    },
    files=Files(uploads=(IMPORT,)),
)
