"""What loyalty holds about persons: the books stay as they are, and nothing in them tells of whom."""

from perennial.common.privacy import Held, Privacy

BOOKS = "double-entry books: figures under an id that means nobody any more, and points until they expire"
ORDERS = "figures of orders, for tax and for refunds"
CODES = "codes that were given, so that none is given twice"
REDEMPTIONS = "what was taken from the stock and for which points, under an id that means nobody any more"

PRIVACY = Privacy(
    tables={
        "tier_state": Held("customer_id = ANY(:vias)"),
        "voucher_code": Held(
            "redemption_id IN (SELECT id FROM redemption WHERE via = ANY(:vias) AND state = 'fulfilled')",
            kept=CODES,
            hidden=frozenset({"id"}),
        ),
        "redemption": Held(function="erase_redemption_texts", kept=REDEMPTIONS),
        "posting": Held(function="erase_posting_texts", kept=BOOKS),
        "entry": Held("posting_id IN (SELECT id FROM posting WHERE via = ANY(:vias))", kept=BOOKS),
        "account": Held(kept=BOOKS),
        "lot_use": Held("lot_id IN (SELECT id FROM lot WHERE via = ANY(:vias))", kept=BOOKS),
        "lot": Held(kept=BOOKS),
        "refund": Held("purchase_id IN (SELECT id FROM purchase WHERE via = ANY(:vias))", kept=ORDERS),
        "purchase": Held(kept=ORDERS),
    },
    none={
        "programme": "rules that staff wrote",
        "reward": "what staff offers",
        "expiry_notice": "which lots were announced",
    },
)
