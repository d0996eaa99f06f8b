"""What segments adds to the settings of every service."""

from pydantic import Field

from perennial.common.settings import CommonSettings


class SegmentsSettings(CommonSettings):
    """For how long events are kept for rules that are yet to be written."""

    event_days: int = Field(
        default=400, ge=31, le=36_600,
        description="Events are kept for so many days at least, and for as long as any rule looks back.",
    )  # fmt: skip
