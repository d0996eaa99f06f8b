"""What identity holds about persons, opened for an export."""

import base64
import json
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from perennial.common.contracts.gateway import EventsAccepted
from perennial.common.privacy import Held, Privacy, Searched, Subject
from perennial.common.privacy.terms import Judge
from perennial.common.settings import CommonSettings
from perennial.identity.erasing.service import DEVICES
from perennial.identity.settings import IdentitySettings, key_of, vault_of
from perennial.identity.traces import Reader

_DECODER = msgspec.json.Decoder(EventsAccepted)


def _value(settings: CommonSettings, row: dict[str, Any]) -> dict[str, Any]:
    vault = vault_of(cast("IdentitySettings", settings))
    return {**row, "value": vault.open(bytes(row["sealed"]), bytes(row["digest"]))}


def _field(settings: CommonSettings, row: dict[str, Any]) -> dict[str, Any]:
    vault = vault_of(cast("IdentitySettings", settings))
    bound = row["via"].bytes + row["field"].encode()
    return {**row, "value": vault.open(bytes(row["sealed"]), bound) if row["sealed"] else None}


def _parked(settings: CommonSettings, subject: Subject) -> Judge:
    """Whether the event bears one of the identifiers; of somebody else's a device that they share is no sign."""
    vault = vault_of(cast("IdentitySettings", settings))
    reader = Reader(key_of("identifier_key", settings.identifier_key), settings.region)

    def judge(row: Mapping[str, Any]) -> bool:
        body = bytes(row["body"])
        if row["sealed"]:
            said = json.loads(vault.open(bytes(row["sealed"]), row["event_id"].bytes if row["event_id"] else b""))
            body = base64.b64decode(said["body"])
        try:
            events = _DECODER.decode(body).events
        except msgspec.MsgspecError:
            return False
        traces = [trace for event in events for trace in reader.traces(event)]
        telling = [trace for trace in traces if trace.kind not in DEVICES] or traces
        return any(trace.digest in subject.digests for trace in telling)

    return judge


PRIVACY = Privacy(
    tables={
        "identifier": Held("id = ANY(:vias)", hidden=frozenset({"sealed", "digest"}), open=_value),
        "likeness": Held(hidden=frozenset({"sealed"}), open=_field),
        "seen": Held(),
        "met": Held("via = ANY(:vias) OR user_via = ANY(:vias)"),
        "shared": Held(),
        "separation": Held("low = ANY(:vias) OR high = ANY(:vias)"),
        "conflict": Held("via = ANY(:vias) OR against = ANY(:vias)"),
        "suggestion": Held("low = ANY(:vias) OR high = ANY(:vias)"),
        "merge": Held("survivor = ANY(:vias) OR merged = ANY(:vias)"),
        "split": Held("customer_id = ANY(:vias) OR separated = ANY(:vias)"),
        "map_change": Held(kept="which ids the map has joined and parted, without whose they were"),
        "parked": Searched(
            "id", ("body", "sealed", "event_id"), _parked, hidden=frozenset({"body", "sealed", "trace"})
        ),
    },
    none={
        "decision": "digests of message ids, for 35 days: a repeat of an erased person's event is known by them",
        "intake": "figures by source",
        "intake_tally": "figures by source",
        "policy": "rules that staff wrote",
        "tombstone": "keyed hashes of erased identifiers",
    },
)
