"""Of persons the gateway keeps rejected events, found by the identifiers in them, and files that were sent in."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from perennial.common.identifiers import KINDS, blind_index, normalise
from perennial.common.privacy import Files, Held, Privacy, Searched, Subject
from perennial.common.privacy.terms import Judge
from perennial.common.settings import CommonSettings
from perennial.gateway.imports import service as imports

LONGEST, SHORTEST = 320, 3
DEVICES = frozenset({"device_id", "push_token", "anonymous_id"})
_PHONE = re.compile(r"[+(]?[\d ().-]{6,24}")


def _bears(settings: CommonSettings, subject: Subject) -> Judge:
    """Whether a text anywhere in the event is one of the person's identifiers. Without the key nothing is found.

    In an event of another user a device that both have used is no sign: it stays, and is no part of an export.
    """
    key = bytes.fromhex(settings.identifier_key.get_secret_value())
    seen: dict[str, frozenset[str]] = {}

    def kinds_of(text: str) -> frozenset[str]:
        if text not in seen:
            found = _digests(key, text, settings.region)
            seen[text] = frozenset(kind for kind, digest in found if digest in subject.digests)
        return seen[text]

    def judge(row: Mapping[str, Any]) -> bool:
        if not key:
            return False
        raws = [raw for raw in (row["raw"], row["envelope"]) if raw]
        kinds = {kind for raw in raws for text in texts(raw) for kind in kinds_of(text)}
        if not kinds or kinds - DEVICES:
            return bool(kinds)
        return all("user_id" in kinds_of(user) for raw in raws for user in _users(raw))

    return judge


def _users(raw: str) -> list[str]:
    """Which users an event names."""
    try:
        pending = [json.loads(raw)]
    except (ValueError, RecursionError):
        return []
    users = []
    while pending:
        held = pending.pop()
        if isinstance(held, dict):
            pending += held.values()
            users += [held[name] for name in ("userId", "user_id") if isinstance(held.get(name), str) and held[name]]
        elif isinstance(held, list):
            pending += held
    return users


def _digests(key: bytes, text: str, region: str) -> Iterator[tuple[str, bytes]]:
    """The blind indexes of a text as whatever kind it may be; few texts can be phones, and telling is dear."""
    for kind in KINDS:
        if kind == "phone" and not _PHONE.fullmatch(text):
            continue
        normal = normalise(kind, text, region)
        if normal is not None:
            yield kind, blind_index(key, kind, normal)


def texts(raw: str) -> Iterator[str]:
    """Every text and whole number in a JSON text; of a broken one, every word."""
    try:
        pending = [json.loads(raw)]
    except (ValueError, RecursionError):
        yield from (word for word in raw.replace('"', " ").replace(",", " ").split() if len(word) <= LONGEST)
        return
    while pending:
        held = pending.pop()
        if isinstance(held, dict):
            pending += held.values()
        elif isinstance(held, list):
            pending += held
        elif isinstance(held, str) and SHORTEST <= len(held) <= LONGEST:
            yield held
        elif isinstance(held, int) and not isinstance(held, bool):
            yield str(held)


PRIVACY = Privacy(
    tables={
        "violation": Searched("id", ("raw", "envelope"), _bears, hidden=frozenset({"envelope"})),
        "operation": Held(
            "kind = 'customer.export' AND input ->> 'customer_id' IN (SELECT unnest(CAST(:vias AS uuid[]))::text)",
            exported=False,
        ),
    },
    none={
        "api_key": "partners",
        "import_mapping": "settings",
        "role_fields": "settings",
        "source": "settings",
        "staff_account": "staff",
        "staff_attempt": "staff",
        "staff_session": "staff",
        "token_issuer": "settings",
        "tracking_plan": "settings",
        "violation_count": "figures, and names of events",
        "write_key": "settings",
    },
    files=Files(uploads=(imports.UPLOAD,), readers=(imports.CHECK, imports.RUN)),
)
