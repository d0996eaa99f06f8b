"""`python -m perennial.demo`: load a year of shopping, let live traffic follow, report and check."""

import asyncio
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime

from rich.console import Console

from perennial.demo import audience, check, figures, live, reference, report, visible
from perennial.demo.client import Client, Json, RefusedError, UnreachableError
from perennial.demo.data import Load, Shopper, prepare
from perennial.demo.load import Loaded, load
from perennial.demo.memory import by_process
from perennial.demo.reference import Reference
from perennial.demo.session import Session
from perennial.demo.settings import Settings
from perennial.demo.state import State


async def demo(settings: Settings, console: Console) -> bool:
    """The whole demo; whether every check is equal."""
    state = State.open(settings.home)
    async with Client(settings.url, settings.write_key, settings.api_key) as client:
        session = Session(client, state, console)
        plan = await asyncio.to_thread(prepare, state.shift_days, _limit(session, settings.orders))
        shoppers, files = plan.shoppers(), _files(state, plan.orders.height)
        loaded, speed = await _import(session, plan, files)
        session.customers = {household: customer for customer, household in (await figures.names(client)).items()}
        traffic = await live.run(session, shoppers, files)
        speed |= await _latency(session, shoppers[0])
        expected = files.with_orders(live.orders(state))
        await visible.until_visible(client, _goal(expected, plan), console)
        speed["segments settled after s"] = round(await audience.settled(client, expected), 1)
        shown = await figures.read(client)
    checks = [
        *check.run(expected, shown, len(loaded.rejected)),
        *check.live(traffic, shown, sum(state.spent.values())),
    ]
    document = report.compose(shown, traffic, speed, by_process(settings.home), checks)
    report.show(document, console)
    console.print(f"written to {report.write(document, settings.home)}", soft_wrap=True)
    return bool(document["equal"])


def _limit(session: Session, wanted: int | None) -> int | None:
    """How many orders to send: never fewer than an earlier run sent, for the platform keeps them."""
    before = session.state.orders
    if wanted and wanted < before:
        session.console.print(f"this platform holds {before:,} orders of the demo already: not limited to {wanted:,}")
        return before
    return wanted


def _files(state: State, orders: int) -> Reference:
    return reference.compute(state.shift_days, orders)


async def _import(session: Session, plan: Load, files: Reference) -> tuple[Loaded, Json]:
    """Send the data, wait until it is visible everywhere, and say how fast that was."""
    state, now = session.state, datetime.now(UTC)
    if not state.repeatable(now):
        session.console.print("the import is more than 30 days old: not sent again, only checked")
        return Loaded(), {}
    first = state.loaded_at is None
    state.loaded_at, state.orders = state.loaded_at or now.isoformat(), plan.orders.height
    state.save()
    session.console.print(f"importing {plan.orders.height:,} orders as {plan.events:,} events")
    started = time.monotonic()
    loaded = await load(session.client, plan.chunks(), plan.events, session.console)
    goal = _goal(files, plan)
    visible_at = await visible.until_visible(session.client, replace(goal, scored=0), session.console)
    await visible.until_visible(session.client, goal, session.console)
    speed: Json = {
        "events accepted": loaded.accepted,
        "events/s accepted": round(loaded.rate, 1),
        "requests sent again": session.client.retries,
    }
    if first:
        speed["events/s end to end"] = round(plan.events / (visible_at - started), 1)
    return loaded, speed


def _goal(expected: Reference, plan: Load) -> visible.Progress:
    """What must be visible before anything is compared."""
    return visible.Progress(
        events=plan.events,
        orders=expected.orders.height,
        points=expected.points,
        scored=expected.orders.height,
    )


async def _latency(session: Session, shopper: Shopper) -> Json:
    measured = await visible.latency(session.client, shopper.household)
    return {
        "probes": measured.probes,
        "visible after ms, p50": round(measured.p50 * 1000, 1),
        "visible after ms, p99": round(measured.p99 * 1000, 1),
    }


def main() -> int:
    """Run from the environment; the exit status."""
    console, settings = Console(), Settings.from_environment()
    try:
        equal = asyncio.run(demo(settings, console))
    except (RefusedError, UnreachableError) as error:
        console.print(f"[red]{error}")
        return 1
    except KeyboardInterrupt:
        return 130
    if not equal:
        console.print("[red]the platform and the data files do not agree: see the self-check above")
    elif not settings.leave:
        console.print(f"all checks are equal. API {settings.url}, documentation {settings.url}/docs", soft_wrap=True)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
