"""HTTP bodies of presets."""

from typing import Any

from pydantic import BaseModel, Field

from perennial.segments.presets.catalogue import Kind


class PresetOut(BaseModel):
    """A rule that ships. To adopt it, define a segment with it: `POST /v1/segments` with a name and the `rule`."""

    key: str
    kind: Kind = Field(description="stage (a partition of all customers), habit or rfm")
    en: str
    zh: str
    rule: dict[str, Any]
    sentence: str = Field(description="The rule in words.")
    sentence_zh: str


class PresetsOut(BaseModel):
    """All presets."""

    items: list[PresetOut]
