"""What segments adds to the settings of every service."""

from pydantic import Field

from perennial.common.settings import CommonSettings


class SegmentsSettings(CommonSettings):
    """For how long events and the past are kept, and how often RFM is computed."""

    event_days: int = Field(
        default=400, ge=31, le=36_600,
        description="Events are kept for so many days at least, and for as long as any rule looks back.",
    )  # fmt: skip
    membership_change_days: int = Field(
        default=400, ge=31, le=36_600,
        description="Who was in a segment is told of so many days back at least.",
    )  # fmt: skip
    segment_version_days: int = Field(
        default=1100, ge=31, le=36_600,
        description="Versions of a segment are kept so long after the next one has followed, at least.",
    )  # fmt: skip
    rfm_pause_seconds: float = Field(
        default=60, ge=1, le=86_400, description="A run that orders want begins so long after the one before, at least."
    )
    rfm_share: float = Field(
        default=0.02,
        ge=0.0001,
        le=1,
        description="Of the time: such runs and what follows them take no more, however many customers there are.",
    )
    rfm_cluster_hours: float = Field(
        default=23, ge=0, le=87_600, description="Clusters so old are found anew: by default with each day's run."
    )
