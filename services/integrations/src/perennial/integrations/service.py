"""The verbs of integrations: subscribe, queue, settle, send again."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import update

from perennial.common import prose
from perennial.common.auth import Principal
from perennial.common.contracts import Event, catalogue
from perennial.common.contracts.integrations import WebhookDisabled
from perennial.common.db import ReadSession, WriteSession
from perennial.common.ids import uuid7
from perennial.common.notify import notify
from perennial.common.outbox import emit
from perennial.common.problems import NotFound, Unprocessable
from perennial.integrations import disclosure, queries, signing
from perennial.integrations.egress import Result
from perennial.integrations.models import Webhook, WebhookSecret

NAME = "integrations"
DELIVERIES = "deliveries"
ROTATION = timedelta(hours=24)
GIVE_UP_AFTER = timedelta(days=5)
BREAKER_FAILURES = 5
BREAKER_LONGEST = 900.0
GONE = 410
THROTTLED = frozenset({429, 502, 503, 504})
TEST_TYPE = "integrations.webhook.tested.v1"


def check_types(event_types: Sequence[str]) -> None:
    """Raises Unprocessable for a type that nobody says, or that never leaves."""
    for index, wanted in enumerate(event_types):
        if any(matches([wanted], contract) for contract in told()):
            continue
        ours = wanted.startswith(f"{NAME}.")
        detail = f"{wanted} is not told by webhooks" if ours else f"no event is called {wanted}"
        raise Unprocessable(f"event_types: {detail}", code="unknown_event_type", pointer=f"/event_types/{index}")


def told() -> list[type[Event]]:
    """What endpoints can hear: every fact but those about endpoints."""
    return [contract for contract in catalogue().values() if contract.producer() != NAME]


def matches(event_types: Sequence[str], contract: type[Event]) -> bool:
    """Whether an endpoint wants a contract: by its name, or by a prefix if it is about something that happened."""
    subject = contract.subject
    return any(
        wanted == subject or (not contract.state and wanted.endswith(".*") and subject.startswith(wanted[:-1]))
        for wanted in event_types
    )


@dataclass(frozen=True)
class Sending:
    """One attempt about to be made: the exact bytes, and the allow-list that they were made under.

    Until `lease` nobody else takes it; another one by the time of the answer means that it was queued or taken anew.
    """

    webhook_id: UUID
    message_id: UUID
    attempts: int
    url: str
    body: bytes
    fields: Sequence[str]
    lease: datetime


async def enqueue(session: WriteSession, events: Sequence[Event]) -> None:
    """Queue events for every endpoint that wants them."""
    endpoints = await queries.endpoints(session)
    pairs = [(hook.id, event) for event in events for hook in endpoints if matches(hook.event_types, type(event))]
    wanted = {event.id: event for _, event in pairs}
    if not wanted:
        return
    rows = []
    for event in wanted.values():
        public, personal = disclosure.forms(disclosure.clear(event))
        rows.append({"id": event.id, "type": event.subject, "body": public, "personal_body": personal})
    await queries.add_messages(session, rows)
    await queries.add_deliveries(session, [(hook, event.id) for hook, event in pairs])
    await notify(session, DELIVERIES)


async def create(
    session: WriteSession, key: bytes, *, url: str, event_types: list[str], description: str, fields: Sequence[str] = ()
) -> tuple[Webhook, str]:
    """A new endpoint and its secret."""
    check_types(event_types)
    webhook = Webhook(id=uuid7(), url=url, event_types=event_types, description=description, fields=list(fields))
    session.add(webhook)
    await session.flush()
    await session.refresh(webhook)
    return webhook, await _add_secret(session, key, webhook.id)


async def _add_secret(session: WriteSession, key: bytes, webhook_id: UUID) -> str:
    secret = signing.new_secret()
    session.add(WebhookSecret(id=uuid7(), webhook_id=webhook_id, sealed=signing.seal(key, secret)))
    await session.flush()
    return signing.shown(secret)


async def find(session: ReadSession, webhook_id: UUID, *, lock: bool = False) -> Webhook:
    """An endpoint. Raises NotFound."""
    webhook = await session.get(Webhook, webhook_id, with_for_update=lock)
    if webhook is None:
        raise NotFound("webhook: there is none with this id", pointer="path/webhook_id")
    return webhook


async def change(session: WriteSession, webhook: Webhook, changes: dict[str, Any]) -> Webhook:
    """Apply a merge patch; enabling an endpoint again forgets its failures."""
    if changes.get("event_types"):
        check_types(changes["event_types"])
    for name, value in changes.items():
        if value is not None:
            setattr(webhook, name, value)
    if changes.get("disabled") is False:
        webhook.disabled_reason = webhook.failing_since = webhook.paused_until = None
        webhook.failures = 0
    elif changes.get("disabled"):
        webhook.disabled_reason = "by request"
    webhook.version += 1
    await session.flush()
    await notify(session, DELIVERIES)
    return webhook


async def rotate(session: WriteSession, key: bytes, webhook: Webhook) -> tuple[str, datetime]:
    """A new secret; those before it go on signing for a day."""
    expires_at = datetime.now(UTC) + ROTATION
    await session.execute(
        update(WebhookSecret)
        .where(WebhookSecret.webhook_id == webhook.id, WebhookSecret.expires_at.is_(None))
        .values(expires_at=expires_at)
    )
    return await _add_secret(session, key, webhook.id), expires_at


async def send_test(session: WriteSession, webhook: Webhook) -> UUID:
    """Queue a message that only says hello."""
    message_id = uuid7()
    said = {"type": TEST_TYPE, "timestamp": datetime.now(UTC).isoformat(), "data": {"webhook_id": str(webhook.id)}}
    body = json.dumps(said, separators=(",", ":")).encode()
    row = {"id": message_id, "type": TEST_TYPE, "body": body, "personal_body": None}
    await queries.add_messages(session, [row])
    await queries.add_deliveries(session, [(webhook.id, message_id)])
    await notify(session, DELIVERIES)
    return message_id


async def resend(
    session: WriteSession, webhook_id: UUID, *, message: UUID | None = None, since: datetime | None = None
) -> int:
    """Queue again one message, or all that failed since an instant."""
    await find(session, webhook_id)
    queued = await queries.requeue(session, webhook_id, message=message, since=since)
    if message is not None and not queued:
        raise NotFound("message_id: this endpoint was never sent such a message", pointer="path/message_id")
    await notify(session, DELIVERIES)
    return queued


async def claim(session: WriteSession, limit: int) -> list[Sending]:
    """Take what is due, each with its bytes: those of the attempt before, unless the endpoint may see less by now."""
    rows = await queries.claim(session, limit)
    sendings, changed = [], []
    for row in rows:
        fields = _allowed(row)
        body = row.sent
        if row.fields is None or set(fields) != set(row.fields) or (fields and body is None):  # an erasure drops bytes
            body = _body(row.personal_body, fields) if row.personal_body is not None else None
            changed.append({"webhook_id": row.webhook_id, "message_id": row.message_id, "fields": fields, "body": body})
        exact = bytes(row.body if body is None else body)
        sendings.append(Sending(row.webhook_id, row.message_id, row.attempts, row.url, exact, fields, row.lease))
    await queries.freeze(session, changed)
    return sendings


def _allowed(row: Any) -> Sequence[str]:
    """What a delivery may show: never more than its first attempt did, nor than the endpoint may see now."""
    if row.personal_body is None:
        return []
    return list(row.wanted) if row.fields is None else disclosure.meet(row.fields, row.wanted)


def _body(whole: bytes, fields: Sequence[str]) -> bytes | None:
    """The bytes of a message under an allow-list; None where they are those that show nothing in clear."""
    return disclosure.encode(disclosure.masked(json.loads(whole), fields)) if fields else None


def seen(row: Any, who: Principal) -> dict[str, Any]:
    """A message as somebody may read it in the log: never more than the endpoint was shown."""
    fields = disclosure.meet(row.fields, who.fields)
    if row.personal_body is None or not fields:
        return dict(json.loads(row.body))
    return disclosure.masked(json.loads(row.personal_body), fields)


def logged(row: Mapping[str, Any], who: Principal) -> dict[str, Any]:
    """An attempt as somebody may read it; a partner's answer may repeat whatever the partner was shown."""
    hidden = bool(disclosure.beyond(row["fields"], who.fields))
    shown = {name: None if row[name] is None else prose.masked(who, row[name]) for name in ("error", "response")}
    return {**row, **shown, **({"response": prose.HIDDEN} if hidden and row["response"] else {})}


async def settle(session: WriteSession, done: Sequence[tuple[Sending, Result]], retries: Sequence[float]) -> None:
    """Write down what came of attempts: delivered, to be tried again, or given up; and how each endpoint fares."""
    now = datetime.now(UTC)
    await queries.add_attempts(session, [_attempt(claimed, result) for claimed, result in done])
    await queries.settle(session, [_outcome(claimed, result, retries, now) for claimed, result in done])
    for webhook_id in sorted({claimed.webhook_id for claimed, _ in done}):
        webhook = await session.get(Webhook, webhook_id, with_for_update=True)
        if webhook is not None:
            results = [result for claimed, result in done if claimed.webhook_id == webhook_id]
            await _judge(session, webhook, results, now)


def _attempt(claimed: Sending, result: Result) -> dict[str, Any]:
    return {
        "webhook_id": claimed.webhook_id,
        "message_id": claimed.message_id,
        "status": result.status,
        "error": result.error,
        "latency_ms": result.latency_ms,
        "response": result.response,
        "fields": list(claimed.fields),
    }


def _outcome(claimed: Sending, result: Result, retries: Sequence[float], now: datetime) -> dict[str, Any]:
    state, next_at = "pending", now
    if succeeded(result):
        state = "delivered"
    elif result.abort:
        state = "aborted"
    elif claimed.attempts >= len(retries):
        state = "failed"
    else:
        pause = retries[claimed.attempts] * random.uniform(0.9, 1.2)  # noqa: S311 (jitter)
        next_at = now + timedelta(seconds=max(pause, result.retry_after or 0))
    key = {"webhook_id": claimed.webhook_id, "message_id": claimed.message_id, "lease": claimed.lease}
    return {**key, "state": state, "next_at": next_at}


def succeeded(result: Result) -> bool:
    """2xx is success, everything else (redirects too) is not."""
    return result.status is not None and 200 <= result.status < 300


def declined(result: Result) -> bool:
    """A partner that is well does not want this one message."""
    return result.abort and result.status != GONE and result.status not in THROTTLED


async def _judge(session: WriteSession, webhook: Webhook, results: Sequence[Result], now: datetime) -> None:
    """Close the circuit after a success; open it longer and longer while nothing succeeds; give up in the end."""
    well = any(succeeded(result) or declined(result) for result in results)
    if well != (webhook.failing_since is None):
        webhook.version += 1
    if well:
        webhook.failures, webhook.failing_since, webhook.paused_until = 0, None, None
        return
    webhook.failures += len(results)
    webhook.failing_since = webhook.failing_since or now
    if any(result.status == GONE for result in results):
        await disable(session, webhook, "the endpoint answered 410 Gone")
    elif now - webhook.failing_since > GIVE_UP_AFTER:
        await disable(session, webhook, "no delivery has succeeded for five days")
    elif webhook.failures >= BREAKER_FAILURES or any(result.status in THROTTLED for result in results):
        pause = min(BREAKER_LONGEST, 2.0 ** min(webhook.failures, 10))
        waits = [result.retry_after or 0 for result in results]
        webhook.paused_until = now + timedelta(seconds=max(pause, *waits))


async def disable(session: WriteSession, webhook: Webhook, reason: str) -> None:
    """Stop delivering to an endpoint; its messages stay and can be sent again."""
    webhook.disabled, webhook.disabled_reason = True, reason
    webhook.version += 1
    await emit(session, WebhookDisabled(webhook_id=webhook.id, reason=reason))
