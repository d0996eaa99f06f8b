"""The reports there are, and what each of their figures means."""

from collections.abc import Mapping
from dataclasses import dataclass

MONTH = "A month of the programme's zone."
CURRENCY = "The code of the programme's currency that points are of."
EARNED = "Points that orders, actions and rules gave, whether or not they can be spent yet."
SPENT = "Points that were spent, less what was given back whole."
YEAR = "Of the last 365 days."


@dataclass(frozen=True)
class Report:
    """A report: what it tells, and the definition of each column, in their order."""

    title: str
    about: str
    columns: Mapping[str, str]


REPORTS: Mapping[str, Report] = {
    "tiers": Report(
        "Activity and contribution by tier",
        "Members by the tier of today, with what they did lately; points are of the programme's main currency.",
        {
            "tier": "The tier as it is shown, by the word of staff too.",
            "members": "Customers of today in it.",
            "active": "Of those, who bought, earned or spent within the last 90 days.",
            "orders": f"Orders paid for and not given back whole. {YEAR}",
            "spend": f"Money paid for orders and not given back. {YEAR}",
            "spend_percent": "The share of all tiers' spend, in percent; null where there is none.",
            "earned": f"{EARNED} {YEAR}",
            "spent": f"{SPENT} {YEAR}",
        },
    ),
    "months": Report(
        "Earn, burn and breakage by month",
        "What the ledger booked; a month that is over stays as it is, whatever comes late counts when it was booked.",
        {
            "month": f"{MONTH} In which it was booked.",
            "currency": CURRENCY,
            "earned": EARNED,
            "spent": SPENT,
            "reversed": "Points that refunds and cancellations took back.",
            "expired": "Breakage: points that nobody spent in time.",
            "adjusted": "Points that staff gave, less those they took.",
            "net": "What customers have more than before: earned + adjusted - spent - reversed - expired.",
            "breakage_percent": "Expired for every hundred earned in the same month; null where nothing was.",
            "customers": "Customers of today for whom anything was booked.",
        },
    ),
    "liability": Report(
        "Liability by expiry month",
        "Points that customers have and nobody has spent, by when they end.",
        {
            "month": f"{MONTH} Of their last moment; `never`, or `overdrawn` for balances below zero.",
            "currency": CURRENCY,
            "points": "Points that can be spent; of `overdrawn` what is owed, below zero.",
            "pending": "Points that cannot be spent yet.",
            "customers": "Customers of today who have any.",
        },
    ),
    "rewards": Report(
        "Top rewards",
        "What was taken of the mall, the most wanted first; at most 100.",
        {
            "reward_id": "The reward.",
            "name": "Its name in English, else in Chinese.",
            "kind": "Its category.",
            "currency": CURRENCY,
            "redemptions": f"Confirmed or fulfilled. {YEAR}",
            "cancelled": f"Cancelled, or not confirmed in time. {YEAR}",
            "points": "What was paid for those confirmed or fulfilled.",
            "amount": "Money paid besides.",
            "money": "Its currency.",
            "customers": "Customers of today who took it.",
        },
    ),
    "reward-kinds": Report(
        "Categories of rewards",
        "The same by category.",
        {
            "kind": "Goods, coupons, services, stored credit, partners' vouchers.",
            "currency": CURRENCY,
            "redemptions": f"Confirmed or fulfilled. {YEAR}",
            "cancelled": f"Cancelled, or not confirmed in time. {YEAR}",
            "points": "What was paid for those confirmed or fulfilled.",
            "amount": "Money paid besides.",
            "money": "Its currency.",
            "customers": "Customers of today who took any.",
        },
    ),
    "cohorts": Report(
        "Cohorts of joiners",
        "Customers by the month of their first posting, and what they did in each month since; the last 24 cohorts.",
        {
            "cohort": f"{MONTH} Of the first posting of the customer, by when it happened.",
            "later": "Months since; 0 is the month of joining.",
            "members": "Customers of today in the cohort.",
            "active": "Of those, who earned or spent in that month.",
            "active_percent": "Their share, in percent.",
            "earned": f"{EARNED} Of the programme's main currency.",
            "spent": f"{SPENT} Of the programme's main currency.",
        },
    ),
    "referrals": Report(
        "Referral funnel",
        "Friends by the month in which they followed a code, and what became of them.",
        {
            "month": f"{MONTH} In which the friend followed a code.",
            "touched": "Identifiers that followed a link or gave a code.",
            "qualified": "Orders that count for a referral.",
            "pending": "Of those, waiting for the return window.",
            "held": "Held for review.",
            "rewarded": "Rewarded on both sides.",
            "reversed": "Rewarded, and taken back.",
            "rejected": "Refused by staff.",
            "void": "Not to be rewarded, such as refunded orders.",
        },
    ),
}
