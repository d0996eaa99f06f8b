"""The verb of the tracking API: take the events of one request in, or say why not."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import structlog
from opentelemetry import metrics

from perennial.common.db import Database
from perennial.common.failures import is_infrastructure
from perennial.gateway import tracing
from perennial.gateway.access import Access, KnownSource
from perennial.gateway.tracking import envelope, events, keys, queries, text
from perennial.gateway.tracking.envelope import Envelope
from perennial.gateway.tracking.publish import Publisher
from perennial.gateway.tracking.refusal import Refusal, Rejection

log = structlog.get_logger()
outcomes = metrics.get_meter("perennial").create_counter("perennial.ingest.events", description="Events by outcome.")


class Upload(NamedTuple):
    """One request, its body already read and inflated. `kind` is the type that the path names; None for a batch."""

    body: bytes
    headers: dict[bytes, bytes]
    query: bytes
    kind: str | None
    peer: str | None


class Outcome(NamedTuple):
    """What became of the events."""

    accepted: int
    rejected: list[Rejection]


class Intake:
    """Takes uploads in."""

    def __init__(self, access: Access, publisher: Publisher, database: Database) -> None:
        self._access = access
        self._publisher = publisher
        self._database = database

    async def accept(self, upload: Upload) -> Outcome:
        """Store what is valid, quarantine what is not. Raises Refusal when the request as a whole cannot be taken."""
        received_at = datetime.now(UTC)
        body = text.clean(upload.body)
        found = envelope.read_batch(body) if upload.kind is None else envelope.read_single(body)
        source = self._source(upload, found)
        accepted, rejected = events.judge(
            events.Arrival(
                source_id=source.id,
                received_at=received_at,
                envelope=found,
                kind=upload.kind,
                header_sent_at=upload.headers.get(b"sentat", b"").decode("latin-1"),
                ip=upload.peer,
                client_side=source.kind == "client",
            )
        )
        attributes: dict[str, str | int] = {"perennial.source": source.id, "perennial.events": len(accepted)}
        with tracing.span("ingest", upload.headers, attributes):
            if accepted:
                await self._publisher.publish(source.id, accepted, received_at)
                outcomes.add(len(accepted), {"outcome": "accepted"})
            if rejected:
                await self._quarantine(source.id, rejected)
        return Outcome(len(accepted), rejected)

    def _source(self, upload: Upload, found: Envelope) -> KnownSource:
        source = self._access.sources.get(_write_key(upload, found) or "")
        if source is None or not source.enabled:
            raise Refusal(401, "invalid_write_key", "writeKey is missing, unknown or disabled")
        origin = upload.headers.get(b"origin")
        if origin and source.origins and origin.decode("latin-1") not in source.origins:
            raise Refusal(403, "origin_not_allowed", "Origin is not one that this source may send from")
        if found.imported and not source.may_import:
            raise Refusal(403, "import_not_allowed", "context.import: this source may not import")
        return source

    async def _quarantine(self, source_id: str, rejected: Sequence[Rejection]) -> None:
        outcomes.add(len(rejected), {"outcome": "rejected"})
        for last in (False, True):  # the first connection may be one that a restart of Postgres has cut
            try:
                async with self._database.write() as session:
                    await queries.quarantine(session, source_id, rejected)
                return
            except Exception as error:
                if last or not is_infrastructure(error):
                    # The good events are stored and the client is told of the bad ones: a 503 would only repeat both.
                    log.exception("violations.lost", source_id=source_id, codes=sorted({one.code for one in rejected}))
                    return


def _write_key(upload: Upload, found: Envelope) -> str | None:
    return (
        keys.from_headers(upload.headers)
        or found.write_key
        or (keys.from_event(found.events[0]) if upload.kind is None and found.events else None)
        or keys.from_query(upload.query)
    )
