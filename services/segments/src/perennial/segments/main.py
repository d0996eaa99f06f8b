"""The segments service."""

from fastapi import FastAPI

from perennial.common.contracts.segments import (
    ErasureCompleted,
    MembershipEntered,
    MembershipExited,
    MembershipsChanged,
)
from perennial.common.derive import Derivation
from perennial.common.operations import worker as operating
from perennial.common.run import build as build_process
from perennial.common.service import Service
from perennial.segments import jobs
from perennial.segments.announcing import service as announcing
from perennial.segments.announcing.api import router as announcements
from perennial.segments.definitions.api import router as definitions
from perennial.segments.definitions.service import BACKFILL
from perennial.segments.deriving import derive
from perennial.segments.facts import service as facts
from perennial.segments.history import jobs as history
from perennial.segments.language.api import router as language
from perennial.segments.lists import importing
from perennial.segments.lists.api import router as lists
from perennial.segments.lists.service import IMPORT
from perennial.segments.memberships import backfill
from perennial.segments.memberships import service as memberships
from perennial.segments.memberships.api import router as members
from perennial.segments.memberships.batch import FLIP
from perennial.segments.memberships.preview import PREVIEW
from perennial.segments.models import metadata
from perennial.segments.months import jobs as months
from perennial.segments.presets.api import router as presets
from perennial.segments.privacy import PRIVACY
from perennial.segments.rfm import models as _rfm  # noqa: F401 (its tables)
from perennial.segments.rfm.api import router as rfm_router
from perennial.segments.rfm.runs import jobs as rfm_jobs
from perennial.segments.rfm.runs import service as rfm
from perennial.segments.rfm.runs.api import router as rfm_runs
from perennial.segments.rfm.settings.api import router as rfm_settings
from perennial.segments.settings import SegmentsSettings
from perennial.segments.worker import REACTIONS

SERVICE = Service(
    name="segments",
    title="Perennial segments",
    settings=SegmentsSettings,
    metadata=metadata,
    routers=(language, presets, definitions, lists, members, announcements, rfm_settings, rfm_runs, rfm_router),
    reactions=REACTIONS,
    emits=(MembershipsChanged, MembershipEntered, MembershipExited, ErasureCompleted),
    map_changed=facts.follow_map,
    derive=Derivation(derive, batch=2000, live=300, concerned=True),
    preview=PREVIEW,
    privacy=PRIVACY,
    timers={FLIP: memberships.flip, rfm.SCORE: rfm.wake},
    jobs=(*jobs.JOBS, *rfm_jobs.JOBS, *months.JOBS, *history.JOBS),
    channels=(rfm.RUNS,),
    tasks=(rfm_jobs.compute, operating.loop),  # beside the loop that every service has: a slow build holds up one
    operations={BACKFILL: backfill.step, IMPORT: importing.step, announcing.ANNOUNCE: announcing.step},
)


def api() -> FastAPI:
    """The API alone."""
    return build_process(SERVICE, api=True, worker=False)


def worker() -> FastAPI:
    """The worker alone, with its health routes."""
    return build_process(SERVICE, api=False, worker=True)
