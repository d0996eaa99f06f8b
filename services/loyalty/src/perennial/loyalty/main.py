"""Loyalty: a double-entry points bank, tiers, and the programme that feeds them."""

from fastapi import FastAPI

from perennial.common.contracts import loyalty as contract
from perennial.common.derive import mark_changes
from perennial.common.run import build
from perennial.common.service import Service
from perennial.loyalty.accounts import api as accounts
from perennial.loyalty.accounts.preview import PREVIEW
from perennial.loyalty.expiry import models as _expiry  # noqa: F401
from perennial.loyalty.jobs import JOBS
from perennial.loyalty.models import metadata
from perennial.loyalty.orders import models as _orders  # noqa: F401 (its tables)
from perennial.loyalty.points import api as points
from perennial.loyalty.points import models as _points  # noqa: F401
from perennial.loyalty.privacy import PRIVACY
from perennial.loyalty.programme import api as programme
from perennial.loyalty.programme import models as _programme  # noqa: F401
from perennial.loyalty.rewards import api as rewards
from perennial.loyalty.rewards import models as _rewards  # noqa: F401
from perennial.loyalty.rewards.redemptions import api as redemptions
from perennial.loyalty.tiers import models as _tiers  # noqa: F401
from perennial.loyalty.worker import DERIVATION, REACTIONS

SERVICE = Service(
    name="loyalty",
    title="Loyalty",
    metadata=metadata,
    routers=(
        accounts.router,
        accounts.me,
        points.router,
        points.me,
        programme.router,
        rewards.router,
        rewards.me,
        redemptions.customers,
        redemptions.router,
        redemptions.me,
    ),
    reactions=REACTIONS,
    emits=(
        contract.AccountsChanged,
        contract.TiersChanged,
        contract.PointsEarned,
        contract.PointsSpent,
        contract.PointsReversed,
        contract.ExpiryAnnounced,
        contract.TierChanged,
        contract.PointsReturned,
        contract.RedemptionReserved,
        contract.RedemptionConfirmed,
        contract.RedemptionFulfilled,
        contract.RedemptionCancelled,
        contract.RedemptionExpired,
        contract.ErasureCompleted,
    ),
    map_changed=mark_changes,
    derive=DERIVATION,
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
