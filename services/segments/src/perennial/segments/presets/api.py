"""Routes of presets."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from perennial.common import rules
from perennial.common.auth import Principal, requires
from perennial.segments.presets.catalogue import PRESETS, Kind, Preset
from perennial.segments.presets.schemas import PresetOut, PresetsOut

router = APIRouter(prefix="/v1/segments/presets", tags=["segments"])
Reader = Annotated[Principal, Depends(requires("segments:read"))]


@router.get("")
async def list_segment_presets(who: Reader, kind: Annotated[Kind | None, Query()] = None) -> PresetsOut:
    """Segments that ship as rules: stages of a customer's life, habits, and every group of RFM."""
    return PresetsOut(items=[_out(preset) for preset in PRESETS if kind in {None, preset.kind}])


def _out(preset: Preset) -> PresetOut:
    rule = rules.parse(dict(preset.rule))
    return PresetOut(
        key=preset.key,
        kind=preset.kind,
        en=preset.en,
        zh=preset.zh,
        rule=rules.dump(rule),
        sentence=rules.describe(rule),
        sentence_zh=rules.describe(rule, "zh"),
    )
