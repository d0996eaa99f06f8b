"""E-mail by SMTP: at least once, a repeat bears the same Message-ID."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from urllib.parse import unquote, urlsplit

import aiosmtplib

from perennial.campaigns.channels.outgoing import Accepted, Outgoing, Refused, Result, TryLater
from perennial.campaigns.channels.sender import LEASE

LANES = 4
TIMEOUT_SECONDS = 20.0
RECIPIENT = "{message_id}"
# Folding would turn a long List-Unsubscribe into encoded words, which mail clients do not read.
UNFOLDED = SMTP.clone(max_line_length=998)


class Smtp:
    """A few connections side by side, opened for each batch; a dead server costs one time-out per lane."""

    channel = "email"
    batch = 20

    def __init__(self, url: str | None, patience: timedelta = LEASE / 2) -> None:
        self._url = url
        self._patience = patience

    async def send(self, messages: Sequence[Outgoing]) -> list[Result]:
        """One result per message."""
        if self._url is None:
            return [Refused("no SMTP server is configured (PERENNIAL_SMTP_URL)") for _ in messages]
        deadline = asyncio.get_running_loop().time() + self._patience.total_seconds()
        lanes = [messages[start::LANES] for start in range(min(LANES, len(messages)))]
        answers = await asyncio.gather(*(_lane(self._url, lane, deadline) for lane in lanes))
        by_id = {
            item.id: result
            for lane, found in zip(lanes, answers, strict=True)
            for item, result in zip(lane, found, strict=True)
        }
        return [by_id[message.id] for message in messages]


async def _lane(url: str, messages: Sequence[Outgoing], deadline: float) -> list[Result]:
    """One connection's share. What is not begun by the deadline waits: past the lease, it would be sent twice."""
    results: list[Result] = []
    rest = TryLater("the connection to the SMTP server was lost")
    try:
        client = connection(url)
        await client.connect()
    except Exception as error:  # noqa: BLE001 (the other lanes' answers must be written down)
        return [TryLater(_why(error)) for _ in messages]
    try:
        for message in messages:
            if asyncio.get_running_loop().time() >= deadline:
                rest = TryLater("out of time")
                break
            results.append(await _send(client, message))
            if not client.is_connected:
                break
    finally:
        await _leave(client)
    return results + [rest] * (len(messages) - len(results))


def connection(url: str) -> aiosmtplib.SMTP:
    """A client for `smtp://user:password@host:port` or `smtps://…`; not yet connected."""
    parts = urlsplit(url)
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise ValueError("PERENNIAL_SMTP_URL must be smtp://host:port or smtps://host:port")
    return aiosmtplib.SMTP(
        hostname=parts.hostname,
        port=parts.port or (465 if parts.scheme == "smtps" else 587),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        use_tls=parts.scheme == "smtps",
        timeout=TIMEOUT_SECONDS,
    )


async def _send(client: aiosmtplib.SMTP, message: Outgoing) -> Result:
    """What became of one message. It never raises: that would cost the whole batch its answers."""
    try:
        built = build(message)
        content = built.as_bytes()
    except (MessageError, LookupError, TypeError, ValueError) as error:
        return Refused(f"not an e-mail: {error}")
    except Exception as error:  # noqa: BLE001 (see above)
        return TryLater(_why(error))
    return await _hand_over(client, message, built["Message-ID"], content)


async def _hand_over(client: aiosmtplib.SMTP, message: Outgoing, message_id: str, content: bytes) -> Result:
    try:
        _, answer = await client.sendmail(parseaddr(message.sender)[1], [message.address], content)
    except aiosmtplib.SMTPRecipientsRefused as error:
        code = max((refused.code for refused in error.recipients), default=550)
        return _refusal(code, _why(error))
    except aiosmtplib.SMTPResponseException as error:
        return _refusal(error.code, _why(error))
    except (aiosmtplib.SMTPException, OSError) as error:
        return TryLater(_why(error))
    except Exception as error:  # noqa: BLE001 (see above)
        await _start_over(client)
        return TryLater(_why(error))
    return Accepted(f"{message_id} {answer}"[:300])


def build(message: Outgoing) -> EmailMessage:
    """The e-mail. Raises ValueError for an address that cannot stand in a header."""
    name, sender = parseaddr(message.sender)
    if "@" not in sender:
        raise ValueError(f"the channel's sender {message.sender!r} has no address")
    if not (sender + message.address).isascii():
        raise ValueError("an address must be ASCII")
    built = EmailMessage(UNFOLDED)
    built["From"] = Address(name, addr_spec=sender)
    built["To"] = Address(addr_spec=message.address)
    built["Subject"] = message.subject
    built["Date"] = format_datetime(message.created_at)
    built["Message-ID"] = f"<{message.id}@{sender.rpartition('@')[2]}>"
    unsubscribe = message.unsubscribe or f"mailto:{sender}?subject=unsubscribe%20{RECIPIENT}"
    built["List-Unsubscribe"] = f"<{unsubscribe.replace(RECIPIENT, str(message.id))}>"
    # RFC 8058: a click without a question must say by its link alone who clicks.
    if unsubscribe.startswith("https:") and RECIPIENT in unsubscribe:
        built["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    built.set_content(message.body, subtype="html" if message.format == "html" else "plain")
    return built


def _refusal(code: int, why: str) -> Result:
    return Refused(why) if code >= 500 else TryLater(why)


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]


async def _start_over(client: aiosmtplib.SMTP) -> None:
    """Forget a message that was broken off, lest the next one be refused for it."""
    try:
        await client.rset()
    except Exception:  # noqa: BLE001 (whatever it is, this connection is of no more use)
        client.close()


async def _leave(client: aiosmtplib.SMTP) -> None:
    """Say goodbye; whatever comes of it, the answers stand."""
    with contextlib.suppress(Exception):
        if client.is_connected:
            await client.quit()
    client.close()
