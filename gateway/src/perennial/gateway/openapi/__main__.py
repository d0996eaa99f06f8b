"""`python -m perennial.gateway.openapi dump|check [service…]`: write the services' snapshots, or compare them."""

import argparse
import json
import sys
from pathlib import Path

from perennial.common import service as services
from perennial.common.messaging.worker import reactions_of
from perennial.common.web.app import document
from perennial.gateway.openapi.snapshots import HEARS, read_hears

HERE = Path(__file__).parent
GATEWAY = "gateway"


def snapshots(names: list[str]) -> dict[str, str]:
    """The text of the snapshot files of these services."""
    found = [services.load(name) for name in names]
    files = {f"{service.name}.json": _text(document(service)) for service in found}
    hears = {service.name: sorted({reaction.subject for reaction in reactions_of(service)}) for service in found}
    return {**files, HEARS: _text({**read_hears(), **hears})}


def stale(wanted: dict[str, str]) -> list[str]:
    """The files whose committed text is another one."""
    return [name for name, text in wanted.items() if not (HERE / name).is_file() or (HERE / name).read_text() != text]


def main() -> int:
    """Write the snapshots, or say which differ and exit 1."""
    parser = argparse.ArgumentParser(prog="python -m perennial.gateway.openapi", description=__doc__)
    parser.add_argument("command", choices=["dump", "check"])
    parser.add_argument("services", nargs="*", help="all that are installed, if none is named")
    arguments = parser.parse_args()
    names = arguments.services or [name for name in services.names() if name != GATEWAY]
    wanted = snapshots(names)
    changed = stale(wanted)
    if arguments.command == "check":
        sys.stdout.writelines(f"{name} is stale: python -m perennial.gateway.openapi dump\n" for name in changed)
        return 1 if changed else 0
    for name in changed:
        (HERE / name).write_text(wanted[name])
        sys.stdout.write(f"{name}\n")
    return 0


def _text(content: object) -> str:
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
