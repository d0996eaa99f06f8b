"""`python -m perennial.local`: up, down, status, run, inside, and start, stop and kill for single processes."""

import argparse
import asyncio
import os
import signal
import subprocess
import sys

from perennial.local.control import ControlError
from perennial.local.home import Home
from perennial.local.platform import Platform
from perennial.local.supervisor import StartError
from perennial.local.up import Options, Up


def main() -> int:
    arguments = _parser().parse_args()
    try:
        return int(arguments.run(arguments) or 0)
    except (StartError, ControlError) as error:
        print(error, file=sys.stderr)
        return 1


def up(arguments: argparse.Namespace) -> int:
    services = tuple(name for name in arguments.services.split(",") if name)
    if arguments.detach:
        platform = Platform(services=services)
        platform.start()
        print(f"Perennial is up, in {platform.home.path}; `make down` stops it\n\n{platform.table()}")
        return 0
    asyncio.run(_up(Up(Home.from_environment(), Options.from_environment(services))))
    return 0


async def _up(platform: Up) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    await platform.run(stop)


def down(_: argparse.Namespace) -> None:
    stopped = Platform().stop()
    print(f"stopped {', '.join(stopped)}" if stopped else "nothing was running")


def status(_: argparse.Namespace) -> None:
    print(Platform().table())


def run(arguments: argparse.Namespace) -> int:
    """Run a command against the platform, which is started when it is not up.

    With EXIT set in the environment, what was started is stopped afterwards.
    """
    platform = Platform()
    started = not platform.is_up()
    if started:
        platform.start()
        print(f"{platform.table()}\n", flush=True)
    leave = started and os.environ.get("EXIT", "") in {"1", "true", "yes"}
    try:
        code = subprocess.call(arguments.command, env={**os.environ, **platform.environment()})
    except KeyboardInterrupt:
        code = 130
    finally:
        if leave:
            platform.stop()
    if not leave:
        print(f"\nPerennial stays up at {platform.gateway_url}; `make down` stops it")
    return code


def inside(arguments: argparse.Namespace) -> int:
    """Run a command as one of the services: with its roles, its keys and its addresses."""
    return subprocess.call(arguments.command, env=Platform().environment_of(arguments.name))


def one(arguments: argparse.Namespace) -> None:
    platform = Platform()
    match arguments.verb:
        case "start":
            platform.start_process(arguments.name)
        case "stop":
            platform.stop_process(arguments.name)
        case "kill":
            platform.kill(arguments.name, hold=arguments.hold)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m perennial.local", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("up", help="start everything and stay; Ctrl-C stops it")
    verb.add_argument("--detach", action="store_true", help="return when all is ready")
    verb.add_argument("--services", default="", help="only these, separated by commas, and the gateway")
    verb.set_defaults(run=up)
    verbs.add_parser("down", help="stop what `up` left running").set_defaults(run=down)
    verbs.add_parser("status", help="addresses, keys, memory").set_defaults(run=status)
    verb = verbs.add_parser("run", help="run a command against the platform")
    verb.add_argument("command", nargs="+")
    verb.set_defaults(run=run)
    verb = verbs.add_parser("inside", help="run a command with the environment of a service")
    verb.add_argument("name")
    verb.add_argument("command", nargs="+")
    verb.set_defaults(run=inside)
    for name, text in (("start", "start a process"), ("stop", "stop a process"), ("kill", "kill -9 a process")):
        verb = verbs.add_parser(name, help=text)
        verb.add_argument("name")
        if name == "kill":
            verb.add_argument("--hold", action="store_true", help="keep it down until `start`")
        verb.set_defaults(run=one)
    return parser


if __name__ == "__main__":
    sys.exit(main())
