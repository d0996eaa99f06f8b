"""Loyalty: a double-entry points bank, tiers, and the programme that feeds them."""

from fastapi import FastAPI

from perennial.common.contracts import loyalty as contract
from perennial.common.run import build
from perennial.common.service import Service
from perennial.loyalty.accounts import api as accounts
from perennial.loyalty.accounts.preview import PREVIEW
from perennial.loyalty.debts import api as debts
from perennial.loyalty.debts import models as _debts  # noqa: F401
from perennial.loyalty.earning import models as _earning  # noqa: F401
from perennial.loyalty.earning.checkin import api as checkin
from perennial.loyalty.earning.content import api as content
from perennial.loyalty.earning.explaining import api as explaining
from perennial.loyalty.expiry import models as _expiry  # noqa: F401
from perennial.loyalty.jobs import JOBS
from perennial.loyalty.memberships import api as memberships
from perennial.loyalty.memberships import models as _memberships  # noqa: F401
from perennial.loyalty.memberships import service as membership_clock
from perennial.loyalty.models import metadata
from perennial.loyalty.orders import api as orders
from perennial.loyalty.orders import models as _orders  # noqa: F401 (its tables)
from perennial.loyalty.points import api as points
from perennial.loyalty.points import models as _points  # noqa: F401
from perennial.loyalty.points import plain
from perennial.loyalty.privacy import PRIVACY
from perennial.loyalty.programme import api as programme
from perennial.loyalty.programme import models as _programme  # noqa: F401
from perennial.loyalty.referrals import api as referrals
from perennial.loyalty.referrals import models as _referrals  # noqa: F401
from perennial.loyalty.referrals import service as referral_clock
from perennial.loyalty.reports import api as reports
from perennial.loyalty.reports import models as _reports  # noqa: F401
from perennial.loyalty.reports import service as reporting
from perennial.loyalty.rewards import api as rewards
from perennial.loyalty.rewards import models as _rewards  # noqa: F401
from perennial.loyalty.rewards.redemptions import api as redemptions
from perennial.loyalty.settings import LoyaltySettings
from perennial.loyalty.tiers import api as tiers_api
from perennial.loyalty.tiers import models as _tiers  # noqa: F401
from perennial.loyalty.tiers import service as tiers
from perennial.loyalty.tiers.simulating import api as simulating
from perennial.loyalty.tiers.simulating.service import KIND, simulate
from perennial.loyalty.worker import DERIVATION, REACTIONS, follow_map

SERVICE = Service(
    name="loyalty",
    title="Loyalty",
    metadata=metadata,
    settings=LoyaltySettings,
    routers=(
        accounts.router,
        accounts.me,
        points.router,
        points.me,
        orders.router,
        checkin.me,
        content.router,
        content.me,
        explaining.router,
        explaining.me,
        tiers_api.router,
        tiers_api.me,
        programme.router,
        simulating.router,
        reports.router,
        rewards.router,
        rewards.me,
        redemptions.customers,
        redemptions.router,
        redemptions.me,
        debts.router,
        memberships.router,
        memberships.me,
        referrals.router,
        referrals.me,
    ),
    plain=(plain.SPEND,),
    reactions=REACTIONS,
    emits=(
        contract.AccountsChanged,
        contract.TiersChanged,
        contract.PointsEarned,
        contract.PointsSpent,
        contract.PointsReversed,
        contract.ExpiryAnnounced,
        contract.TierChanged,
        contract.BenefitsChanged,
        contract.BenefitGranted,
        contract.BenefitRevoked,
        contract.PointsReturned,
        contract.RedemptionReserved,
        contract.RedemptionConfirmed,
        contract.RedemptionFulfilled,
        contract.RedemptionCancelled,
        contract.RedemptionExpired,
        contract.SplitSettled,
        contract.MembershipsChanged,
        contract.MembershipChanged,
        contract.ReferralQualified,
        contract.ReferralSuspected,
        contract.ReferralRewarded,
        contract.ReferralEnded,
        contract.ErasureCompleted,
    ),
    map_changed=follow_map,
    derive=DERIVATION,
    timers={
        tiers.REVIEW: tiers.review,
        membership_clock.CLOCK: membership_clock.strike,
        referral_clock.WINDOW: referral_clock.mature,
    },
    operations={KIND: simulate, reporting.KIND: reporting.refresh},
    preview=PREVIEW,
    privacy=PRIVACY,
    jobs=JOBS,
)


def api() -> FastAPI:
    """The API process."""
    return build(SERVICE, api=True, worker=False)


def worker() -> FastAPI:
    """The worker process: health and metrics over HTTP, the loops beside."""
    return build(SERVICE, api=False, worker=True)
