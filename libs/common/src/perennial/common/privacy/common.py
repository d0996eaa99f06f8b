"""The tables of common, told as each service tells its own."""

import json
from collections.abc import Mapping
from typing import Any

from perennial.common.privacy.declaring import OF_CUSTOMER, Held, Judge, Searched, Subject
from perennial.common.settings import CommonSettings


def says_who(_: CommonSettings, subject: Subject) -> Judge:
    """Rows whose `body` is one event of the person: a fact with its `via` or customer, or a resolved event."""
    ids = {str(via) for via in subject.vias}

    def judge(row: Mapping[str, Any]) -> bool:
        return of_body(bytes(row["body"] or b""), ids)

    return judge


def of_body(body: bytes, ids: set[str]) -> bool:
    """Whether an event's body is about one of these identifiers or customers, and about nobody else."""
    try:
        said = json.loads(body)
    except ValueError:
        return False
    if not isinstance(said, dict) or "erasure_id" in said:
        return False
    several = said.get("events")
    events = several if isinstance(several, list) and several else [said]
    return all(isinstance(event, dict) and _about(event, ids) for event in events)


def _about(event: Mapping[str, Any], ids: set[str]) -> bool:
    return any(isinstance(event.get(name), str) and event[name] in ids for name in ("via", "customer", "customer_id"))


HELD: dict[str, Held | Searched] = {
    "parked": Searched("id", ("body",), says_who, hidden=frozenset({"trace"})),
    "stale": Held(OF_CUSTOMER, exported=False),
    "identity_map": Held("via = ANY(:vias) OR customer_id = ANY(:vias)", hidden=frozenset({"digest"}), exported=False),
}
NONE = {
    "outbox": "facts, for a day after they were published",
    "inbox": "ids of facts, for three days",
    "idempotency": "answers to requests, for seven days",
    "timer": "keys of other rows",
    "audit": "what staff did, by ids; a reason that staff gave is masked",
    "erased": "ids that mean nobody any more",
    "erasure": "ids that mean nobody any more, and figures",
    "operation": "work that somebody on the staff began, for as long as it is kept",
    "operation_file": "its files, for as long as it is kept",
}
