"""What profile holds about persons."""

from perennial.common.privacy import Files, Held, Privacy
from perennial.profile.exports import service as exports
from perennial.profile.traits.sealing import opened_record

_OF_CUSTOMER = "customer_id = ANY(:vias)"
DERIVED = Held(_OF_CUSTOMER, exported=False)
SHOWN = Held(_OF_CUSTOMER)
ORDERS = "figures of orders, for tax: the shop's number of the order, no name"

PRIVACY = Privacy(
    tables={
        "event": Held(function="erase_events", key="timestamp, id", open=opened_record),
        "trait": Held(open=opened_record),
        "trait_edit": Held(open=opened_record),
        "consent": Held(function="erase_consents"),
        "quality_finding": Held(),
        "quality_value": Held(exported=False),
        "counter": Held(),
        "activity": Held(),
        "account": Held(),
        "expiring": Held(),
        "tier": SHOWN,
        "membership": SHOWN,
        "coupon": Held(),
        "ticket": Held(),
        "enrolment": Held(),
        "outreach": Held(),
        "reach": Held(),
        "told": Held(exported=False),
        "computed_partial": Held(exported=False),
        "utterance": Held(),
        "merger": Held("survivor = ANY(:vias) OR merged = ANY(:vias)"),
        "tag_assignment": Held(),
        "customer_tag": SHOWN,
        "stage_assignment": Held(),
        "customer_stage": SHOWN,
        "stage_change": SHOWN,
        "customer_name": DERIVED,
        "customer_order": DERIVED,
        "customer": Held(_OF_CUSTOMER, open=opened_record),
        "order_discount": Held(kept=ORDERS),
        "purchase": Held(kept=ORDERS),
    },
    none={
        "computed_feed": "how far a job has come",
        "computed_trait": "settings",
        "consent_purpose": "settings",
        "consent_text": "texts of the shop",
        "erasure_request": "who was forgotten, by ids that mean nobody any more",
        "erasure_receipt": "figures",
        "ladder": "settings",
        "lifecycle": "settings",
        "quality_baseline": "figures by rule",
        "quality_crossing": "figures by source and trait",
        "quality_gauge": "figures by source",
        "quality_intake": "figures by source",
        "quality_rule": "settings",
        "quality_rule_version": "settings",
        "quality_setting": "settings",
        "quality_source_day": "figures by source",
        "quality_trait_day": "figures by source and trait",
        "retention": "settings",
        "shown_count": "figures by tag and stage",
        "tag_definition": "settings",
        "tag_definition_version": "settings",
        "topic": "settings",
        "trait_definition": "settings",
        "trait_definition_version": "settings",
        "trait_sweep": "how far a job has come",
        "trait_tally": "figures by trait",
    },
    files=Files(lists=(exports.KIND,), told=exports.TELLING),
)
