"""Routes of integrations."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import delete

from perennial.common import audit
from perennial.common.auth import Principal, requires
from perennial.common.egress import ForbiddenAddressError, check_reachable
from perennial.common.problems import Forbidden, Unprocessable
from perennial.common.web import Page, PageQuery, Read, Write, documented, paged
from perennial.common.web.cursors import last_id, last_number
from perennial.common.web.deps import runtime_of
from perennial.common.web.etags import IfMatch, Seen, match, tag
from perennial.integrations import disclosure, queries, service
from perennial.integrations.delivery import key_of, settings_of
from perennial.integrations.models import Webhook
from perennial.integrations.schemas import (
    AttemptOut,
    MessageOut,
    Queued,
    Recover,
    SecretOut,
    WebhookChange,
    WebhookIn,
    WebhookMade,
    WebhookOut,
)

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])
Reader = Annotated[Principal, Depends(requires("webhooks:read"))]
Writer = Annotated[Principal, Depends(requires("webhooks:write"))]


async def _check(request: Request, url: str | None) -> None:
    if url is None:
        return
    try:
        await check_reachable(url, runtime_of(request).settings.egress_allow_cidrs)
    except ForbiddenAddressError as error:
        raise Unprocessable(str(error), code="forbidden_url", pointer="/url") from error


def _may_show(who: Principal, fields: Sequence[str]) -> None:
    """Whoever decides that an endpoint gets fields in clear needs a scope for it, and sees them too."""
    if disclosure.private(fields) and not who.may("webhooks:pii"):
        raise Forbidden(
            "fields: the endpoint gets personal data, the scope webhooks:pii is required",
            code="insufficient_scope",
            pointer="/fields",
        )
    if unseen := disclosure.beyond(fields, who.fields):
        raise Forbidden(
            f"fields: you do not see {', '.join(unseen)} in clear yourself", code="field_masked", pointer="/fields"
        )


def _may_change(who: Principal, webhook: Webhook, body: WebhookChange) -> None:
    """Less may be shown by anybody who may write; more, or the same to somebody else, by whoever sees all of it."""
    given = body.model_fields_set
    after = body.fields if "fields" in given else webhook.fields
    elsewhere = bool({"url", "event_types"} & given) or ("disabled" in given and not body.disabled)
    _may_show(who, after if elsewhere else disclosure.beyond(after, webhook.fields))


def _out(row: Any) -> WebhookOut:
    return WebhookOut.model_validate(row, from_attributes=True)


@router.post("", status_code=201, responses=documented(400), openapi_extra={"x-shown-once": True})
async def create_webhook(
    request: Request, body: WebhookIn, response: Response, session: Write, who: Writer
) -> WebhookMade:
    """Subscribe an endpoint. The answer holds the signing secret; it is never shown again."""
    _may_show(who, body.fields)
    await _check(request, body.url)
    webhook, secret = await service.create(session, key_of(settings_of(runtime_of(request))), **body.model_dump())
    await audit.record(session, who, "webhook.created", str(webhook.id), {"url": body.url, "fields": body.fields})
    tag(response, webhook.version)
    response.headers["Location"] = f"/v1/webhooks/{webhook.id}"
    return WebhookMade(**_out(webhook).model_dump(), secret=secret)


@router.get("", responses=documented(400))
async def list_webhooks(page: PageQuery, session: Read, who: Reader) -> Page[WebhookOut]:
    """Every endpoint, the oldest first."""
    rows = await queries.page_of_endpoints(session, last_id(page), page.limit + 1)
    return paged([_out(row) for row in rows], page, lambda item: [str(item.id)])


@router.get("/{webhook_id}", responses=documented(404))
async def get_webhook(webhook_id: UUID, response: Response, session: Read, who: Reader) -> WebhookOut:
    """One endpoint."""
    webhook = await service.find(session, webhook_id)
    tag(response, webhook.version)
    return _out(webhook)


@router.patch("/{webhook_id}", responses=documented(400, 404, 412, 428))
async def change_webhook(
    request: Request,
    webhook_id: UUID,
    body: WebhookChange,
    expected: IfMatch,
    response: Response,
    session: Write,
    who: Writer,
) -> WebhookOut:
    """Change, disable or enable an endpoint."""
    webhook = await service.find(session, webhook_id, lock=True)
    _may_change(who, webhook, body)
    match(expected, webhook.version)
    await _check(request, body.url)
    changed = await service.change(session, webhook, body.model_dump(exclude_unset=True))
    await audit.record(session, who, "webhook.changed", str(webhook_id), body.model_dump(exclude_unset=True))
    tag(response, changed.version)
    return _out(changed)


@router.delete("/{webhook_id}", status_code=204, responses=documented(404))
async def delete_webhook(webhook_id: UUID, seen: Seen, session: Write, who: Writer) -> None:
    """Forget an endpoint and its log."""
    match(seen, (await service.find(session, webhook_id, lock=True)).version)
    await session.execute(delete(Webhook).where(Webhook.id == webhook_id))
    await audit.record(session, who, "webhook.deleted", str(webhook_id))


@router.post("/{webhook_id}/rotate-secret", responses=documented(404))
async def rotate_secret(request: Request, webhook_id: UUID, session: Write, who: Writer) -> SecretOut:
    """A new secret; both sign for a day."""
    webhook = await service.find(session, webhook_id, lock=True)
    _may_show(who, webhook.fields)
    secret, expires_at = await service.rotate(session, key_of(settings_of(runtime_of(request))), webhook)
    await audit.record(session, who, "webhook.secret_rotated", str(webhook_id))
    return SecretOut(secret=secret, previous_expires_at=expires_at)


@router.post("/{webhook_id}/test", status_code=202, responses=documented(404))
async def test_webhook(webhook_id: UUID, session: Write, who: Writer) -> Queued:
    """Send a message that only says hello."""
    message_id = await service.send_test(session, await service.find(session, webhook_id))
    await audit.record(session, who, "webhook.tested", str(webhook_id), {"message_id": str(message_id)})
    return Queued(queued=1)


@router.get("/{webhook_id}/attempts", responses=documented(400, 404))
async def list_attempts(webhook_id: UUID, page: PageQuery, session: Read, who: Reader) -> Page[AttemptOut]:
    """What was sent and what came back, the newest first; kept 30 days."""
    await service.find(session, webhook_id)
    rows = await queries.attempts(session, webhook_id, last_number(page), page.limit + 1)
    items = [AttemptOut.model_validate(service.logged(row, who)) for row in rows]
    return paged(items, page, lambda item: [item.id])


@router.get("/{webhook_id}/messages", responses=documented(400, 404))
async def list_messages(webhook_id: UUID, page: PageQuery, session: Read, who: Reader) -> Page[MessageOut]:
    """The endpoint's messages and where each stands, the newest first."""
    await service.find(session, webhook_id)
    rows = await queries.messages(session, webhook_id, last_id(page), page.limit + 1)
    items = [MessageOut(**{**row._mapping, "body": service.seen(row, who)}) for row in rows]  # noqa: SLF001 (public API)
    return paged(items, page, lambda item: [str(item.id)])


@router.post("/{webhook_id}/messages/{message_id}/resend", status_code=202, responses=documented(404))
async def resend_message(webhook_id: UUID, message_id: UUID, session: Write, who: Writer) -> Queued:
    """Send one message again, whatever became of it."""
    _may_show(who, (await service.find(session, webhook_id)).fields)
    queued = await service.resend(session, webhook_id, message=message_id)
    await audit.record(session, who, "webhook.message_resent", str(webhook_id), {"message_id": str(message_id)})
    return Queued(queued=queued)


@router.post("/{webhook_id}/recover", status_code=202, responses=documented(404))
async def recover_messages(webhook_id: UUID, body: Recover, session: Write, who: Writer) -> Queued:
    """Send again everything that did not arrive since an instant."""
    _may_show(who, (await service.find(session, webhook_id)).fields)
    queued = await service.resend(session, webhook_id, since=body.since)
    detail = {"since": body.since.isoformat(), "queued": queued}
    await audit.record(session, who, "webhook.recovered", str(webhook_id), detail)
    return Queued(queued=queued)
