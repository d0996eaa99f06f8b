"""The contracts' JSON Schemas, kept in git: `python -m tests.contract.snapshots` writes them, if nobody breaks.

A version may gain optional fields. Anything else is a new version, said beside the old one.
"""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from perennial.common.contracts import catalogue
from perennial.common.contracts.gateway import SUBJECT, EventsAccepted
from perennial.common.contracts.identity import RESOLVED_SUBJECT, EventsResolved

FOLDER = Path(__file__).parent / "schemas"
COMMAND = "python -m tests.contract.snapshots"


def current() -> dict[str, dict[str, Any]]:
    """Every contract's schema as the code has it, by subject."""
    found = {subject: contract.model_json_schema() for subject, contract in catalogue().items()}
    found[SUBJECT] = msgspec.json.schema(EventsAccepted)
    found[RESOLVED_SUBJECT] = msgspec.json.schema(EventsResolved)
    return found


def recorded() -> dict[str, dict[str, Any]]:
    """Every contract's schema as git has it."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def breaks(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What would hurt a consumer of the old version, or a producer of it; empty when nothing does."""
    found = _object_breaks("", old, new)
    before, after = old.get("$defs", {}), new.get("$defs", {})
    for name in before:
        if name not in after:
            found.append(f"{name} is gone")
        else:
            found += _object_breaks(f"{name}.", before[name], after[name])
    return found


def _object_breaks(where: str, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    fields, changed = old.get("properties", {}), new.get("properties", {})
    required, now_required = set(old.get("required", [])), set(new.get("required", []))
    found = [f"{where}{name} is gone" for name in fields if name not in changed]
    found += [f"{where}{name} is required now" for name in sorted(now_required - required)]
    found += [f"{where}{name} is no longer promised" for name in sorted(required - now_required) if name in changed]
    for name in fields.keys() & changed.keys():
        if _shape(fields[name]) != _shape(changed[name]):
            found.append(f"{where}{name} has another type")
    return found


def _shape(field: dict[str, Any]) -> Any:
    words = {"title", "description", "default", "x-personal", "examples"}
    return {key: value for key, value in field.items() if key not in words}


def main() -> int:
    """Write the snapshots; refuse a change that breaks a version."""
    FOLDER.mkdir(exist_ok=True)
    before, after = recorded(), current()
    broken = [f"{subject}: {text}" for subject in before for text in breaks(before[subject], after.get(subject, {}))]
    if broken:
        print("Not written; make a new version instead:", *broken, sep="\n  ")
        return 1
    for subject, schema in after.items():
        (FOLDER / f"{subject}.json").write_text(json.dumps(schema, indent=2, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
