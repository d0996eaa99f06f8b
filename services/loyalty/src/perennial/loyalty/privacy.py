"""What loyalty holds about persons: the books stay as they are, and nothing in them tells of whom."""

from perennial.common.privacy import Files, Held, Privacy
from perennial.loyalty.tiers.simulating.service import KIND as SIMULATION

BOOKS = "double-entry books: figures under an id that means nobody any more, and points until they expire"
ORDERS = "figures of orders, for tax and for refunds"
CODES = "codes that were given, so that none is given twice"
OF_BOTH = "via = ANY(:vias) OR {} = ANY(:vias)"
FRIENDS = "that a friend was rewarded for once, so that nobody is again, under ids that mean nobody any more"
REDEMPTIONS = "what was taken from the stock and for which points, under an id that means nobody any more"

PRIVACY = Privacy(
    tables={
        "tier_state": Held("customer_id = ANY(:vias)"),
        "activity": Held(),
        "cap_use": Held(),
        "birthday": Held(),
        "content": Held(),
        "tier_history": Held("customer_id = ANY(:vias)"),
        "tier_override": Held(hidden=frozenset({"author", "ended_by"})),
        "voucher_code": Held(
            "redemption_id IN (SELECT id FROM redemption WHERE via = ANY(:vias) AND state = 'fulfilled')",
            kept=CODES,
            hidden=frozenset({"id"}),
        ),
        "membership": Held("customer_id = ANY(:vias)"),
        "membership_event": Held(),
        "member_saving": Held(),
        "referral_code": Held(),
        "referral_touch": Held(),
        "referral_signal": Held(hidden=frozenset({"digest"})),
        "referral": Held(
            OF_BOTH.format("friend"), "erase_referral_texts", kept=FRIENDS, hidden=frozenset({"via", "friend", "code"})
        ),
        "split_debt": Held(
            OF_BOTH.format("lender"), "erase_debt_texts", kept=BOOKS, hidden=frozenset({"via", "lender"})
        ),
        "redemption": Held(function="erase_redemption_texts", kept=REDEMPTIONS),
        "posting": Held(function="erase_posting_texts", kept=BOOKS),
        "account": Held(kept=BOOKS),
        "lot_use": Held("lot_id IN (SELECT id FROM lot WHERE via = ANY(:vias))", kept=BOOKS),
        "lot": Held(kept=BOOKS),
        "refund": Held("purchase_id IN (SELECT id FROM purchase WHERE via = ANY(:vias))", kept=ORDERS),
        "purchase": Held(function="erase_purchase_texts", kept=ORDERS),
    },
    none={
        "programme": "rules that staff wrote",
        "report": "sums over everybody",
        "reward": "what staff offers",
        "expiry_notice": "which lots were announced",
        "entry_lot": "empty but while a statement runs",
    },
    files=Files(lists=(SIMULATION,)),
)
