"""The programme on the wire."""

from datetime import datetime

from perennial.loyalty.programme.definition import Definition


class ProgrammeIn(Definition):
    """A new version; what a GET says of the old one may stay in it and is not read."""

    version: int | None = None
    valid_from: datetime | None = None
