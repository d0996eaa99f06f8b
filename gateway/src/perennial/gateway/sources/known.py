"""A source as the requests of its events need it."""

from dataclasses import dataclass

from perennial.gateway.limits import Policy
from perennial.gateway.sources import rates
from perennial.gateway.sources.models import Source
from perennial.gateway.sources.origins import Origins


@dataclass(frozen=True, slots=True)
class KnownSource:
    """What decides about a request of a source."""

    id: str
    name: str
    kind: str
    enabled: bool
    may_import: bool
    may_consent: bool
    origins: Origins
    policy: Policy | None


def known_source(source: Source) -> KnownSource:
    """Of the stored source."""
    return KnownSource(
        source.id, source.name, source.kind, source.enabled, source.may_import, source.may_consent,
        Origins(source.origins), rates.policy_of(source),
    )  # fmt: skip
