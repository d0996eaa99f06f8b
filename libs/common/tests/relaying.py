"""A process that publishes the probe's outbox, until it is killed (see `test_relay`)."""

import asyncio

from perennial.common.outbox import relay
from perennial.common.runtime import Runtime
from perennial.common.settings import CommonSettings
from perennial.common.testing.probe import PROBE


async def main() -> None:
    await relay(await Runtime.open(PROBE, CommonSettings()))  # type: ignore[call-arg]


if __name__ == "__main__":
    asyncio.run(main())
