"""The verb of violations: judge events again that were rejected, and let in what is valid now."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from perennial.common import audit
from perennial.common.auth import Principal
from perennial.common.contracts.gateway import AcceptedEvent
from perennial.common.db import Database, WriteSession
from perennial.common.problems import Unavailable
from perennial.gateway.plans.enforce import enforce
from perennial.gateway.plans.plan import Plan
from perennial.gateway.tracking import events
from perennial.gateway.tracking.publish import Publisher
from perennial.gateway.tracking.refusal import REJECTED, Refusal
from perennial.gateway.violations import queries
from perennial.gateway.violations.filters import Filter
from perennial.gateway.violations.models import Violation
from perennial.gateway.violations.records import RAW_BYTES, arrival_of

AT_ONCE = 100
_JSON = msgspec.json.Decoder()


class Verdict(NamedTuple):
    """What today's rules say of a kept event."""

    id: int
    event: AcceptedEvent | None
    code: str = ""
    message: str = ""


class Terms(NamedTuple):
    """Under what kept events are judged: a plan, a change of each, whether again, whether as an import."""

    plan: Plan | None = None
    patch: Mapping[str, Any] | None = None
    again: bool = False
    imported: bool = False


class Replayer:
    """Publishes rejected events again; what cannot be published stays as it is."""

    def __init__(self, database: Database, publisher: Publisher) -> None:
        self._database = database
        self._publisher = publisher

    async def choose(self, source_id: str, wanted: Filter, limit: int, after: int) -> tuple[list[int], int]:
        """The ids of rejected events behind `after`, and how many lie behind them."""
        async with self._database.read() as session:
            ids = list(await queries.replayable(session, source_id, wanted, limit, after))
            left = await queries.remaining(session, source_id, wanted, ids[-1]) if ids else 0
        return ids, left

    async def replay(
        self, source_id: str, ids: Sequence[int], terms: Terms, *, by: Principal, dry_run: bool
    ) -> list[Verdict]:
        """Judge and publish, some at a time, and note it. Raises Unavailable when the broker does not take them."""
        verdicts: list[Verdict] = []
        for start in range(0, len(ids), AT_ONCE):
            async with self._database.write() as session:
                some = ids[start : start + AT_ONCE]
                verdicts += await self.some(session, source_id, some, terms, by=by, dry_run=dry_run)
        return verdicts

    async def some(
        self, session: WriteSession, source_id: str, ids: Sequence[int], terms: Terms, *,
        by: Principal, dry_run: bool = False,
    ) -> list[Verdict]:  # fmt: skip
        """The same in the caller's transaction.

        Events are marked after the broker has them: a crash in between makes them replayable once more, and identity
        counts each message id once.
        """
        rows = {row.id: row for row in await queries.by_ids(session, source_id, ids)}
        found = [await _judged(row_id, rows.get(row_id), terms) for row_id in ids]
        if not dry_run:
            await self._publish(session, source_id, rows, found, by, sorted(terms.patch or ()))
        return found

    async def _publish(
        self, session: WriteSession, source_id: str, rows: Mapping[int, Violation], found: Sequence[Verdict],
        by: Principal, patched: list[str],
    ) -> None:  # fmt: skip
        good = [verdict for verdict in found if verdict.event is not None]
        if not good:
            return
        try:
            await self._publisher.publish(
                source_id, [one.event for one in good if one.event], max(rows[one.id].at for one in good)
            )
        except Refusal as error:
            raise Unavailable(error.message, code=error.code) from error
        await queries.mark_replayed(session, [one.id for one in good])
        detail = {"count": len(good), "first": good[0].id, "last": good[-1].id, "patched": patched}
        await audit.record(session, by, "source.violations_replayed", f"source/{source_id}", detail)


async def _judged(row_id: int, row: Violation | None, terms: Terms) -> Verdict:
    if row is None:
        return Verdict(row_id, None, "not_found", "this source has no such violation")
    if row.outcome != REJECTED:
        return Verdict(row_id, None, "not_rejected", "the event was accepted when it came")
    if row.replayed_at is not None and not terms.again:
        return Verdict(row_id, None, "already_replayed", "the event was replayed before; say `again` to repeat it")
    if not row.whole or row.envelope is None:
        return Verdict(row_id, None, "not_whole", f"the event is not kept whole: it has more than {RAW_BYTES} bytes")
    return await _judge(row, row.envelope, terms)


async def _judge(row: Violation, envelope: str, terms: Terms) -> Verdict:
    raw = row.raw.encode()
    arrival = arrival_of(row.source_id, row.at, envelope, _prepared(row, raw, terms.patch))
    arrival.envelope.imported |= terms.imported
    accepted, rejected = events.judge(arrival)
    await asyncio.sleep(0)
    if terms.plan is not None and accepted:
        accepted, rejected, _ = await enforce(terms.plan, arrival, accepted, rejected)
    if rejected:
        return Verdict(row.id, None, rejected[0].code, rejected[0].message)
    return Verdict(row.id, msgspec.structs.replace(accepted[0], live=False))


def _prepared(row: Violation, raw: bytes, patch: Mapping[str, Any] | None) -> bytes:
    """The event with the patch, and with the id it would have had: it is the same event still."""
    try:
        event = _JSON.decode(raw)
    except (msgspec.MsgspecError, RecursionError):
        return raw
    if not isinstance(event, dict):
        return raw
    changed = merge_patch(event, patch) if patch else event
    if not str(changed.get("messageId") or "").strip():
        changed["messageId"] = row.message_id or events.named_after(row.source_id, row.position or 0, raw)
    elif not patch:
        return raw
    try:
        return msgspec.json.encode(changed)
    except OverflowError:
        return raw


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged
