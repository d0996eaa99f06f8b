"""The programme on the wire."""

from perennial.common.web.fields import Instant, Whole
from perennial.loyalty.programme.definition import Definition


class ProgrammeIn(Definition):
    """A new version; what a GET says of the old one may stay in it and is not read."""

    version: Whole | None = None
    valid_from: Instant | None = None
