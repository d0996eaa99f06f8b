"""What operators do to a service: `python -m perennial.common.operate <service> <command>`.

The commands are `parked`, `replay`, `republish` and `verify-audit`. It reads the environment of the service's own
processes.
"""

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from datetime import datetime

import structlog

from perennial.common import outbox
from perennial.common import service as services
from perennial.common.audit import chain
from perennial.common.failures import is_infrastructure
from perennial.common.messaging import parked
from perennial.common.messaging.worker import replay
from perennial.common.service import ServiceRuntime

log = structlog.get_logger()


async def show(runtime: ServiceRuntime) -> int:
    """Print the parked events, one JSON object a line."""
    after = 0
    while True:
        rows = await (runtime.service.parked or _parked)(runtime, after)
        if not rows:
            return 0
        for row in rows:
            print(json.dumps(asdict(row), default=str))  # noqa: T201 (a command)
        after = rows[-1].id


async def _parked(runtime: ServiceRuntime, after: int) -> list[parked.ParkedRow]:
    async with runtime.database.read() as session:
        return await parked.listing(session, after)


async def again(runtime: ServiceRuntime, ids: list[int]) -> int:
    """Replay parked events one by one; 1 when one of them still cannot be handled."""
    failed = 0
    for parked_id in ids:
        try:
            done = await (runtime.service.replay or replay)(runtime, [parked_id])
        except Exception as error:
            if is_infrastructure(error):
                raise
            log.error("parked.still_failing", id=parked_id, error=repr(error))  # noqa: TRY400 (one line for each)
            failed = 1
        else:
            log.info("parked.replayed" if done else "parked.unknown", id=parked_id)
    return failed


async def republish(runtime: ServiceRuntime, since: datetime, until: datetime) -> int:
    """Publish again the facts of a range, after a broker lost them; the relay does it, the inboxes make it harmless."""
    async with runtime.database.write() as session:
        count = await outbox.republish(session, since, until)
    log.info("outbox.republishing", facts=count)
    return 0


async def verify_audit(runtime: ServiceRuntime, noted: chain.Noted | None) -> int:
    """Prove the audit trail, and print its head to be noted; 1 when something is wrong with it."""
    async with runtime.database.read() as session:
        wrong = await chain.verify(session, noted)
        head = await chain.head(session)
    if wrong is not None:
        log.error("audit.broken", service=runtime.name, wrong=wrong)
        return 1
    log.info(
        "audit.whole", service=runtime.name, entries=head.entries if head else 0,
        head=f"{head.id}:{head.digest.hex()}" if head else None,
    )  # fmt: skip
    return 0


def _instant(value: str) -> datetime:
    instant = datetime.fromisoformat(value)
    if instant.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{value} has no time zone")
    return instant


async def _run(arguments: argparse.Namespace) -> int:
    found = services.load(arguments.service)
    runtime = await ServiceRuntime.open(found, found.settings())  # type: ignore[call-arg]
    try:
        if arguments.command == "parked":
            return await show(runtime)
        if arguments.command == "replay":
            return await again(runtime, arguments.ids)
        if arguments.command == "verify-audit":
            return await verify_audit(runtime, arguments.head)
        return await republish(runtime, arguments.since, arguments.until)
    finally:
        await runtime.close()


def main() -> int:
    """Parse the command line and do it."""
    parser = argparse.ArgumentParser(description="Operate one service.")
    parser.add_argument("service", choices=services.names())
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("parked", help="list the events that could not be handled")
    replaying = commands.add_parser("replay", help="handle parked events again, after the fix")
    replaying.add_argument("ids", nargs="+", type=int)
    publishing = commands.add_parser("republish", help="publish the facts of a range again")
    publishing.add_argument("since", type=_instant)
    publishing.add_argument("until", type=_instant)
    verifying = commands.add_parser("verify-audit", help="prove that the audit trail is what was written")
    verifying.add_argument("--head", type=chain.Noted.parse, help="a head noted before, <id>:<digest>")
    return asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
