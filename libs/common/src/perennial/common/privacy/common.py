"""The tables of common, told as each service tells its own."""

import json
from collections.abc import Mapping
from typing import Any

from perennial.common.privacy.terms import OF_CUSTOMER, Cut, Held, Judge, Searched, Subject
from perennial.common.settings import CommonSettings


def says_who(_: CommonSettings, subject: Subject) -> Judge:
    """Rows whose `body` is one event of the person: a fact with its `via` or customer, or a resolved event."""
    ids = {str(via) for via in subject.vias}

    def judge(row: Mapping[str, Any]) -> bool:
        return of_body(bytes(row["body"] or b""), ids)

    return judge


def of_body(body: bytes, ids: set[str]) -> bool:
    """Whether an event's body is about one of these identifiers or customers, and about nobody else."""
    return _left(body, ids) == b""


def without_them(_: CommonSettings, subject: Subject) -> Cut:
    """Of a `body` with several people's events or items: the columns as they are without the person's."""
    ids = {str(via) for via in subject.vias}

    def cut(row: Mapping[str, Any]) -> dict[str, Any] | None:
        left = _left(bytes(row["body"] or b""), ids)
        return {"body": left} if left else None

    return cut


def _left(body: bytes, ids: set[str]) -> bytes | None:
    """A body without what is said of these; empty when nothing else is said, None when nothing is said of them."""
    try:
        said = json.loads(body)
    except ValueError:
        return None
    if not isinstance(said, dict) or "erasure_id" in said:
        return None
    if any(isinstance(said.get(name), str) for name in SUBJECTS):
        return b"" if _about(said, ids) else None
    changed = {}
    for name, items in said.items():
        left = [item for item in items if not _about(item, ids)] if isinstance(items, list) else items
        if left != items:
            changed[name] = left
    if not changed:
        return b"" if _about(said, ids) else None
    return json.dumps({**said, **changed}).encode() if any(changed.values()) else b""


SUBJECTS = ("via", "customer", "customer_id")
SIDES = ("survivor", "merged", "separated")


def _about(said: object, ids: set[str]) -> bool:
    """An identifier is whose it is today: what a fact says of its customer may be long ago."""
    if not isinstance(said, dict):
        return False
    whose = next((said[name] for name in SUBJECTS if isinstance(said.get(name), str)), None)
    return whose in ids if whose else any(said.get(name) in ids for name in SIDES if isinstance(said.get(name), str))


HELD: dict[str, Held | Searched] = {
    "parked": Searched("id", ("body",), says_who, cut=without_them, hidden=frozenset({"trace"})),
    "stale": Held(OF_CUSTOMER, exported=False),
    "identity_map": Held("via = ANY(:vias) OR customer_id = ANY(:vias)", hidden=frozenset({"digest"}), exported=False),
}
NONE = {
    "outbox": "facts, for a day after they were published",
    "inbox": "ids of facts, for three days",
    "idempotency": "answers to requests, for seven days",
    "timer": "keys of other rows",
    "audit": "what staff did, by ids; a reason that staff gave is masked",
    "job": "when work ran last",
    "erased": "ids that mean nobody any more",
    "erasure": "ids that mean nobody any more, and figures",
    "operation": "work that somebody on the staff began, for as long as it is kept",
    "operation_file": "its files: an erasure takes what may hold anybody",
}
