"""Reports on the wire."""

from datetime import datetime

from pydantic import BaseModel, Field


class ColumnOut(BaseModel):
    """A figure, and what it means."""

    name: str
    definition: str


class ReportInfo(BaseModel):
    """A report, and when it was last made; null before the first time."""

    name: str
    title: str
    about: str
    as_of: datetime | None
    columns: list[ColumnOut]


class ReportOut(ReportInfo):
    """What a report said when it was last made; money and percentages are decimal texts."""

    items: list[dict[str, int | str | None]] = Field(description="By column.")
