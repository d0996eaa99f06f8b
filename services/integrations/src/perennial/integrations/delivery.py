"""The loop that delivers: claim for a lease, send side by side, settle in one transaction."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog
from opentelemetry import metrics

from perennial.common import notify
from perennial.common.failures import is_infrastructure
from perennial.common.runtime import Runtime
from perennial.integrations import queries, service, signing
from perennial.integrations.egress import Egress, Result
from perennial.integrations.settings import IntegrationsSettings

log = structlog.get_logger()
attempted = metrics.get_meter("perennial").create_counter("perennial.webhook.attempts", description="Webhook attempts.")

BATCH = 32
IDLE_SECONDS = 30.0
UNSIGNED = "no signing secret of the endpoint opens: bring the old encryption key back, or rotate the secret"


def settings_of(runtime: Runtime) -> IntegrationsSettings:
    """The service's own settings."""
    settings = runtime.settings
    assert isinstance(settings, IntegrationsSettings)  # noqa: S101 (SERVICE names the class)
    return settings


def key_of(settings: IntegrationsSettings) -> bytes:
    """The key that secrets are sealed under."""
    return bytes.fromhex(settings.encryption_key.get_secret_value())


async def deliver(runtime: Runtime) -> None:
    """Deliver for as long as the process lives."""
    settings = settings_of(runtime)
    egress = Egress(settings.egress_allow_cidrs, settings.webhook_timeout)
    try:
        while not runtime.stopping.is_set():
            runtime.beats["deliveries"] = asyncio.get_running_loop().time()
            try:
                if not await deliver_once(runtime, egress):
                    await notify.wait(runtime, service.DELIVERIES, await _sleep(runtime))
            except Exception as error:
                if is_infrastructure(error):
                    log.warning("deliveries.waiting", error=repr(error))
                else:
                    log.exception("deliveries.failed")
                await runtime.pause(1)
    finally:
        await egress.close()


async def deliver_once(runtime: Runtime, egress: Egress) -> int:
    """One round; returns how many attempts were made. A death between sending and settling sends again: same id."""
    settings = settings_of(runtime)
    async with runtime.database.write() as session:
        claimed = await service.claim(session, BATCH)
        sealed = await queries.secrets_of(session, [row.webhook_id for row in claimed])
    if not claimed:
        return 0
    key = key_of(settings)
    secrets = {webhook: signing.opened(key, items) for webhook, items in sealed.items()}
    results = await asyncio.gather(*(_send(egress, row, secrets.get(row.webhook_id, [])) for row in claimed))
    async with runtime.database.write() as session:
        await service.settle(session, list(zip(claimed, results, strict=True)), settings.webhook_retries)
    return len(claimed)


async def _send(egress: Egress, row: service.Sending, secrets: Sequence[bytes]) -> Result:
    result = await _post(egress, row, secrets) if secrets else Result(None, 0, error=UNSIGNED)
    outcome = "delivered" if service.succeeded(result) else "aborted" if service.declined(result) else "failed"
    attempted.add(1, {"outcome": outcome})
    return result


async def _post(egress: Egress, row: service.Sending, secrets: Sequence[bytes]) -> Result:
    message_id, timestamp, body = f"msg_{row.message_id}", int(time.time()), row.body
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Perennial-Webhooks/1",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signing.signature(secrets, message_id, timestamp, body),
    }
    return await egress.post(row.url, body, headers)


async def _sleep(runtime: Runtime) -> float:
    async with runtime.database.read() as session:
        due = await queries.next_due(session)
    if due is None:
        return IDLE_SECONDS
    return min(IDLE_SECONDS, max(0.2, (due - datetime.now(UTC)).total_seconds()))
