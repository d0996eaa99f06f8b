"""What loyalty says: points moved, balances and tiers changed, rewards, memberships, referrals."""

from typing import ClassVar

from perennial.common.contracts.base import ErasureReceipt
from perennial.common.contracts.loyalty.club import (
    Membership,
    MembershipChanged,
    MembershipsChanged,
    ReferralEnded,
    ReferralEvent,
    ReferralQualified,
    ReferralRewarded,
    ReferralSuspected,
)
from perennial.common.contracts.loyalty.mall import (
    RedemptionCancelled,
    RedemptionConfirmed,
    RedemptionEvent,
    RedemptionExpired,
    RedemptionFulfilled,
    RedemptionReserved,
)
from perennial.common.contracts.loyalty.points import (
    POINTS,
    Account,
    AccountsChanged,
    ExpiryAnnounced,
    PointsEarned,
    PointsReturned,
    PointsReversed,
    PointsSpent,
    SplitSettled,
)
from perennial.common.contracts.loyalty.tiers import (
    Benefit,
    BenefitGranted,
    BenefitRevoked,
    BenefitsChanged,
    CustomerBenefits,
    Tier,
    TierChanged,
    TiersChanged,
)

__all__ = [
    "POINTS",
    "Account",
    "AccountsChanged",
    "Benefit",
    "BenefitGranted",
    "BenefitRevoked",
    "BenefitsChanged",
    "CustomerBenefits",
    "ErasureCompleted",
    "ExpiryAnnounced",
    "Membership",
    "MembershipChanged",
    "MembershipsChanged",
    "PointsEarned",
    "PointsReturned",
    "PointsReversed",
    "PointsSpent",
    "RedemptionCancelled",
    "RedemptionConfirmed",
    "RedemptionEvent",
    "RedemptionExpired",
    "RedemptionFulfilled",
    "RedemptionReserved",
    "ReferralEnded",
    "ReferralEvent",
    "ReferralQualified",
    "ReferralRewarded",
    "ReferralSuspected",
    "SplitSettled",
    "Tier",
    "TierChanged",
    "TiersChanged",
]


class ErasureCompleted(ErasureReceipt):
    """What loyalty held about a person is erased."""

    subject: ClassVar[str] = "loyalty.erasure.completed.v1"
