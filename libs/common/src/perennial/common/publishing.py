"""Storing facts in a stream: many as one atomic batch, a few each by itself (ADR 20)."""

import asyncio
import json
from collections.abc import Sequence
from secrets import token_hex

import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from perennial.common.packs import Fact

log = structlog.get_logger()

MOST = 1000  # the server's bound of a batch
FEW = 20  # fewer cost less each by itself: the server stages a batch in files of its own, for a millisecond of CPU
ROOM = 8 * 1024  # for the headers, which count as payload
SHARE = 8  # a batch is no more than this many times the greatest payload
ANSWER_SECONDS = 10.0  # covers a leader election
SINGLY_SECONDS = 10.0  # after a refusal that the next batch would meet, too
STREAM_FULL, DUPLICATE = 10077, 10201
ONCE = frozenset({STREAM_FULL, DUPLICATE})  # the next batch meets neither: there is room again, repeats are through
NO_RESPONDERS = "503"


class _Answers:
    """What comes back of a round, by the number of the fact."""

    def __init__(self, due: int) -> None:
        self.heard: dict[int, Msg] = {}
        self._due = due
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def hear(self, number: int, message: Msg) -> None:
        self.heard[number] = message
        if len(self.heard) == self._due and not self._done.done():
            self._done.set_result(None)

    async def wait(self, due: int) -> None:
        """Until so many have come, or it has taken too long."""
        self._due = due
        if len(self.heard) < due:
            await asyncio.wait([self._done], timeout=ANSWER_SECONDS)

    def of(self, number: int) -> Exception | None:
        """Why it was not stored."""
        message = self.heard.get(number)
        return nats.errors.TimeoutError() if message is None else _refusal(message)


class Publisher:
    """Publishes by one connection; each call stores its facts in their order."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inbox = ""
        self._rounds: dict[str, _Answers] = {}
        self._singly_until = 0.0

    async def store(self, facts: Sequence[Fact]) -> list[Exception | None]:
        """Why each fact was not stored; None where it was, now or before. Raises ConnectionClosedError.

        A batch that is refused is published again one by one: the broker drops what it has by `Nats-Msg-Id`.
        """
        if not self._client.is_connected:  # what is buffered could be stored after the caller has given up on it
            raise nats.errors.ConnectionClosedError
        if not self._inbox:
            inbox = self._client.new_inbox()
            await self._client.subscribe(f"{inbox}.*.*", cb=self._hear)
            self._inbox = inbox
        if self._fit(facts):
            refusal = await self._together(facts)
            if refusal is None:
                return [None] * len(facts)
            if getattr(refusal, "err_code", None) not in ONCE:
                self._singly_until = asyncio.get_running_loop().time() + SINGLY_SECONDS
            log.info("outbox.singly", error=repr(refusal))
        return await self._singly(facts)

    def _fit(self, facts: Sequence[Fact]) -> bool:
        """Whether they should be a batch."""
        sizes, most = [len(fact.body) for fact in facts], self._client.max_payload
        return (
            FEW <= len(facts) <= MOST
            and max(sizes) < most - ROOM
            and sum(sizes) < SHARE * most
            and asyncio.get_running_loop().time() >= self._singly_until
        )

    async def _together(self, facts: Sequence[Fact]) -> Exception | None:
        """Why the batch was refused: it has a repeat, the stream is full or takes none, a part was lost."""
        batch, answers = self._round(1)
        reply, last = "", len(facts)
        try:
            for number, fact in enumerate(facts, 1):
                headers = {**fact.headers, "Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number)}
                if number == last:
                    headers["Nats-Batch-Commit"], reply = "1", f"{self._inbox}.{batch}.0"
                await self._client.publish(fact.subject, fact.body, reply, headers)
            await answers.wait(1)
            return answers.of(0)
        except nats.errors.Error as error:
            return error
        finally:
            del self._rounds[batch]

    async def _singly(self, facts: Sequence[Fact]) -> list[Exception | None]:
        name, answers = self._round(len(facts))
        failures: dict[int, Exception] = {}
        try:
            for number, fact in enumerate(facts):
                try:
                    self._check(fact)
                    await self._client.publish(fact.subject, fact.body, f"{self._inbox}.{name}.{number}", fact.headers)
                except nats.errors.Error as error:
                    failures[number] = error
            await answers.wait(len(facts) - len(failures))
            return [failures.get(number) or answers.of(number) for number in range(len(facts))]
        finally:
            del self._rounds[name]

    def _check(self, fact: Fact) -> None:
        """Raises MaxPayloadError where the server would hang up: the client itself looks at the body only."""
        most = self._client.max_payload
        if len(fact.body) > most - ROOM:
            lines = sum(len(name) + len(value.encode()) + 4 for name, value in fact.headers.items())
            if len(b"NATS/1.0\r\n\r\n") + lines + len(fact.body) > most:
                raise nats.errors.MaxPayloadError

    def _round(self, due: int) -> tuple[str, _Answers]:
        name = token_hex(8)
        self._rounds[name] = answers = _Answers(due)
        return name, answers

    async def _hear(self, message: Msg) -> None:
        *_, name, number = message.subject.split(".")
        if (answers := self._rounds.get(name)) is not None:
            answers.hear(int(number), message)


def _refusal(message: Msg) -> Exception | None:
    """What an answer says went wrong."""
    if not message.data:
        unheard = (message.headers or {}).get("Status") == NO_RESPONDERS
        return nats.js.errors.NoStreamResponseError() if unheard else nats.js.errors.Error()
    if b'"error"' in message.data:
        try:
            nats.js.errors.APIError.from_error(json.loads(message.data)["error"])
        except nats.js.errors.APIError as error:
            return error
    return None
