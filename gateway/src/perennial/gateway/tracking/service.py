"""The verb of the tracking API: take the events of one request in, or say why not."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import structlog
from opentelemetry import metrics

from perennial.gateway import limits, tracing
from perennial.gateway.access import Access
from perennial.gateway.limits import Limiter
from perennial.gateway.plans.enforce import enforce
from perennial.gateway.sources.known import KnownSource
from perennial.gateway.tracking import envelope, events, keys, text
from perennial.gateway.tracking.envelope import Envelope
from perennial.gateway.tracking.events import Arrival
from perennial.gateway.tracking.publish import Publisher
from perennial.gateway.tracking.refusal import Refusal, Rejection
from perennial.gateway.violations import records
from perennial.gateway.violations.keeper import Keeper
from perennial.gateway.violations.records import Note

log = structlog.get_logger()
outcomes: Counter[str] = Counter()  # read when somebody asks: recording it event by event costs as much as judging one


def _observed(_: metrics.CallbackOptions) -> Iterator[metrics.Observation]:
    yield from (metrics.Observation(count, {"outcome": outcome}) for outcome, count in outcomes.items())


metrics.get_meter("perennial").create_observable_counter(
    "perennial.ingest.events", [_observed], description="Events by outcome."
)


class Upload(NamedTuple):
    """One request, its body already read and inflated. `kind` is the type that the path names; None for a batch."""

    body: bytes
    headers: dict[bytes, bytes]
    query: bytes
    kind: str | None
    peer: str | None


class Outcome(NamedTuple):
    """What became of the events, and the headers that say how many more may come."""

    accepted: int
    rejected: list[Rejection]
    headers: Mapping[str, str]


class Intake:
    """Takes uploads in."""

    def __init__(self, access: Access, publisher: Publisher, violations: Keeper) -> None:
        self._access = access
        self._publisher = publisher
        self._limiter = Limiter()
        self.violations = violations

    async def accept(self, upload: Upload) -> Outcome:
        """Store what is valid, quarantine what is not. Raises Refusal when the request as a whole cannot be taken."""
        received_at = datetime.now(UTC)
        body = text.clean(upload.body)
        found = envelope.read_batch(body) if upload.kind is None else envelope.read_single(body)
        source = self._source(upload, found)
        headers = self._spend(source, len(found.events))
        try:
            if found.imported and not source.may_import:
                raise Refusal(403, "import_not_allowed", "context.import: this source may not import")
            accepted, rejected = await self._take(upload, found, source, received_at)
        except Refusal as error:
            error.headers = headers
            raise
        return Outcome(accepted, rejected, headers)

    async def _take(
        self, upload: Upload, found: Envelope, source: KnownSource, received_at: datetime
    ) -> tuple[int, list[Rejection]]:
        arrival = Arrival(
            source_id=source.id,
            received_at=received_at,
            envelope=found,
            kind=upload.kind,
            header_sent_at=upload.headers.get(b"sentat", b"").decode("latin-1"),
            ip=upload.peer,
            client_side=source.kind == "client",
            may_consent=source.may_consent,
        )
        accepted, rejected = events.judge(arrival)
        notes = [Note(one) for one in rejected]
        plan = self._access.plans.get(source.id)
        if plan is not None:
            accepted, rejected, noted = await enforce(plan, arrival, accepted, rejected)
            notes += [Note(*one) for one in noted]
        attributes: dict[str, str | int] = {"perennial.source": source.id, "perennial.events": len(accepted)}
        with tracing.followed("ingest", upload.headers, attributes):
            if accepted:
                await self._publisher.publish(source.id, accepted, received_at)
                outcomes["accepted"] += len(accepted)
            if rejected:
                outcomes["rejected"] += len(rejected)
            if notes:
                await self.violations.keep(records.of(arrival, notes))
        return len(accepted), rejected

    def _source(self, upload: Upload, found: Envelope) -> KnownSource:
        source = self._access.sources.get(_write_key(upload, found) or "")
        if source is None or not source.enabled:
            raise Refusal(401, "invalid_write_key", "writeKey is missing, unknown or disabled")
        origin = upload.headers.get(b"origin")
        if origin and source.origins and not source.origins.allows(origin.decode("latin-1")):
            raise Refusal(403, "origin_not_allowed", "Origin is not one that this source may send from")
        return source

    def _spend(self, source: KnownSource, count: int) -> Mapping[str, str]:
        """The headers of a limited source. Raises Problem (429): all events of a request come in, or none."""
        if source.policy is None:
            return {}
        taken = self._limiter.take(source.id, source.policy, max(1, count))
        if not taken.allowed:
            outcomes["limited"] += count
            raise limits.refused(source.policy, taken)
        return limits.headers(source.policy, taken)


def _write_key(upload: Upload, found: Envelope) -> str | None:
    return (
        keys.from_headers(upload.headers)
        or found.write_key
        or (keys.from_event(found.events[0]) if upload.kind is None and found.events else None)
        or keys.from_query(upload.query)
    )
