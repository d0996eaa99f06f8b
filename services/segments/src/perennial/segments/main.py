"""The segments service."""

from fastapi import FastAPI

from perennial.common.contracts.segments import (
    ErasureCompleted,
    MembershipEntered,
    MembershipExited,
    MembershipsChanged,
)
from perennial.common.derive import Derivation
from perennial.common.run import build as build_process
from perennial.common.service import Service
from perennial.segments import jobs
from perennial.segments.definitions.api import router as definitions
from perennial.segments.definitions.service import BUILDS
from perennial.segments.facts import service as facts
from perennial.segments.memberships import service as memberships
from perennial.segments.memberships.preview import PREVIEW
from perennial.segments.models import metadata
from perennial.segments.privacy import PRIVACY
from perennial.segments.rfm import service as rfm
from perennial.segments.rfm.api import router as rfm_router
from perennial.segments.worker import REACTIONS

SERVICE = Service(
    name="segments",
    title="Perennial segments",
    metadata=metadata,
    routers=(definitions, rfm_router),
    reactions=REACTIONS,
    emits=(MembershipsChanged, MembershipEntered, MembershipExited, ErasureCompleted),
    map_changed=facts.follow_map,
    derive=Derivation(memberships.compute, batch=250),
    preview=PREVIEW,
    privacy=PRIVACY,
    timers={memberships.FLIP: memberships.flip, rfm.SCORE: rfm.score},
    jobs=jobs.JOBS,
    channels=(BUILDS,),
    tasks=(jobs.build,),
)


def api() -> FastAPI:
    """The API alone."""
    return build_process(SERVICE, api=True, worker=False)


def worker() -> FastAPI:
    """The worker alone, with its health routes."""
    return build_process(SERVICE, api=False, worker=True)
