"""One row of a file as an event of the tracking protocol: the same that an SDK would send."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from perennial.common.identifiers import normalise
from perennial.common.imported import EVENT
from perennial.gateway.imports import beside
from perennial.gateway.imports.cells import Invalid, read
from perennial.gateway.imports.mapping import AS_TRAITS, Column
from perennial.gateway.imports.targets import Target


class Fault(NamedTuple):
    """Why a row is left out. The column is the one at fault, if it is one."""

    line: int
    column: str
    code: str
    reason: str


class Told(NamedTuple):
    """A row's event, what identifies the customer, each as `kind:value`, and the event of what else the row says."""

    event: bytes
    identifiers: list[str]
    more: bytes | None = None


class Plan(NamedTuple):
    """How the rows of one import are read. `salt` tells this import and mapping from any other.

    `at` is when the file came; `givable` are the tags that it may give.
    """

    header: list[str]
    targets: list[Target]
    at: datetime
    salt: str
    region: str
    import_id: str = ""
    givable: Collection[str] = ()


def salt_of(import_id: UUID, mapping: Mapping[str, Any]) -> str:
    """The same file by the same mapping is the same import, however often it is run."""
    said = msgspec.json.encode([str(import_id), mapping], order="sorted")
    return hashlib.blake2b(said, digest_size=16).hexdigest()


def told(plan: Plan, line: int, cells: Sequence[str]) -> Told:
    """Raises Invalid."""
    if len(cells) != len(plan.header):
        raise Invalid("", "ragged", f"the row has {len(cells)} cells, the header has {len(plan.header)}")
    event: dict[str, Any] = {"type": "identify", "messageId": f"import-{plan.salt}-{line}", "traits": {}, "context": {}}
    event["timestamp"] = plan.at.isoformat()
    identifiers: list[str] = []
    for target in plan.targets:
        column, name, cell = target.column, target.name, cells[target.place].strip()
        if "\0" in cell:
            raise Invalid(name, "nul", "must not contain NUL")
        if column.to == "trait":
            _tell(event["traits"], column, name, cell)
        elif cell and column.to == "identifier":
            identifiers.append(_identify(event, column, name, cell, plan.region))
        elif cell and column.to == "timestamp":
            event["timestamp"] = read(name, cell, "datetime")
    if not identifiers:
        raise Invalid("", "no_identifier", "none of the identifiers is filled in")
    said = beside.said(plan.targets, cells, plan.givable, plan.at)
    more = msgspec.json.encode(_beside(plan, event, said)) if said else None
    return Told(msgspec.json.encode(event), identifiers, more)


def _beside(plan: Plan, event: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """The second event of a row: of the same person, at the same time."""
    own = {kind: value for kind, value in event["traits"].items() if kind in AS_TRAITS}
    kept = {name: event[name] for name in ("userId", "anonymousId", "timestamp") if name in event}
    return {
        **kept, "type": "track", "event": EVENT, "messageId": f"{event['messageId']}-more",
        "context": {**event["context"], "traits": own}, "properties": {"import": plan.import_id, **said},
    }  # fmt: skip


def _tell(traits: dict[str, Any], column: Column, name: str, cell: str) -> None:
    if cell:
        traits[str(column.key)] = read(name, cell, column.type)
    elif column.empty == "clear":
        traits[str(column.key)] = None


def _identify(event: dict[str, Any], column: Column, name: str, cell: str, region: str) -> str:
    kind = str(column.kind)
    value = f"{column.namespace}:{cell}" if column.namespace else cell
    if normalise(kind, value, region) is None:
        raise Invalid(name, "invalid_identifier", f"the value cannot identify anybody as {kind}")
    if kind in AS_TRAITS:
        event["traits"][kind] = cell
    elif kind == "user_id":
        event["userId"] = cell
    elif kind == "anonymous_id":
        event["anonymousId"] = cell
    elif kind == "external_id":
        event["context"].setdefault("externalIds", []).append({"type": column.namespace, "id": cell})
    else:
        device = event["context"].setdefault("device", {})
        device["id" if kind == "device_id" else "token"] = cell
    return f"{kind}:{value}"
