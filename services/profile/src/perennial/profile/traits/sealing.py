"""Sensitive traits at rest: sealed where they are stored, opened where they are shown.

A sealed value is `{"$sealed": …, "via": …}`, bound to the identifier that said it and to the trait. It goes as it is
into the derived row and the timeline.
"""

import base64
import functools
import json
import re
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any, Protocol, cast
from uuid import UUID

import msgspec
from sqlalchemy import Row

from perennial.common.db import ReadSession, WriteSession, settings_of
from perennial.common.masks import class_of
from perennial.common.masks.values import EMAIL, PHONE
from perennial.common.rules import trait_key
from perennial.common.settings import CommonSettings
from perennial.common.vault import SealingSettings, Vault, kept_vault
from perennial.profile.traits.definitions import schema
from perennial.profile.traits.definitions.schema import Schema

SEALED = "$sealed"
SHORTEST_PHONE, LONGEST_KNOWN = 7, 200
CLEAR_STRATEGIES = frozenset({"min", "max", "sum", "union", "longest"})
"""They compare values in SQL, which a sealed one does not allow."""

_email, _phone = re.compile(EMAIL), re.compile(PHONE)
_known_key = functools.lru_cache(maxsize=8192)(trait_key)  # what clients make up as names must not fill the memory
_Raw = dict[str, msgspec.Raw]
_OBJECT, _ANY = msgspec.json.Decoder(_Raw), msgspec.json.Decoder()
_ENCODER = msgspec.json.Encoder()


class Told(Protocol):
    """What is told of an identifier, with all that was sent."""

    @property
    def via(self) -> UUID: ...
    @property
    def body(self) -> msgspec.Raw: ...


class Opened(SimpleNamespace):
    """A row of which the sealed parts are in clear."""


class Sealer:
    """Seals what the schema of one transaction says is sensitive; the same value for the same place only once."""

    def __init__(self, vault: Vault, known: Schema) -> None:
        self.vault, self.schema = vault, known
        self._made: dict[tuple[UUID, str, str], str] = {}
        self._judged: dict[tuple[str, str], bool] = {}  # the timeline asks of every value again

    def hides(self, key: str, said: str) -> bool:
        """Whether JSON text of a trait is sealed: by its class, by what is inside, by what it looks like."""
        place = (key, said)
        if place not in self._judged:
            self._judged[place] = self._hides(key, said)
        return self._judged[place]

    def _hides(self, key: str, said: str) -> bool:
        own = self.schema.own.get(key)
        if (own.sensitivity if own else class_of(key)) == "sensitive":
            return True
        if own is not None and (own.lowered or own.strategy in CLEAR_STRATEGIES):
            return SEALED in said
        return _tells(said)

    def sealed(self, via: UUID, key: str, said: str) -> str:
        """The JSON text to store for JSON text."""
        if not self.hides(key, said):
            return said
        place = (via, key, said)
        made = self._made.get(place)
        if made is None:
            made = self._made[place] = seal(self.vault, via, key, said)
        return made

    def body(self, event: Told) -> bytes:
        """The JSON of an event's body to store: its `traits` and `context.traits` sealed where they must be."""
        raw = bytes(event.body)
        if b'"traits"' not in raw:
            return raw
        parts = _OBJECT.decode(raw)
        changed = self._part(event.via, parts, "traits")
        if "context" in parts and bytes(parts["context"]).startswith(b"{"):
            context = _OBJECT.decode(parts["context"])
            if self._part(event.via, context, "traits"):
                parts["context"] = msgspec.Raw(_ENCODER.encode(context))
                changed = True
        return _ENCODER.encode(parts) if changed else raw

    def _part(self, via: UUID, parts: _Raw, name: str) -> bool:
        if name not in parts or not bytes(parts[name]).startswith(b"{"):
            return False
        traits = _OBJECT.decode(parts[name])
        news = {}
        for written, value in traits.items():
            said = str(value, "utf-8")
            key = _known_key(written) if len(written) <= LONGEST_KNOWN else trait_key(written)
            if said != "null" and self.hides(key, said):
                news[written] = msgspec.Raw(self.sealed(via, key, said).encode())
        if news:
            parts[name] = msgspec.Raw(_ENCODER.encode({**traits, **news}))
        return bool(news)


def _tells(said: str) -> bool:
    """Whether JSON text holds an address or a phone, or says so by the name of a member."""
    if said[0] in '{["':
        if SEALED in said or (("@" in said or "%40" in said) and _email.search(said)):
            return True
        if said[0] != '"' and any(class_of(name) == "sensitive" for name in _names(_ANY.decode(said))):
            return True
    return len(said) > SHORTEST_PHONE and _phone.search(said) is not None


def looks_personal(said: str) -> bool:
    """Whether a text holds an address or a phone."""
    return _email.search(said) is not None or _phone.search(said) is not None


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        for inner in value.values():
            yield from _names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _names(inner)


def seal(vault: Vault, via: UUID, key: str, said: str) -> str:
    """JSON text of a sealed value of JSON text."""
    sealed = base64.b64encode(vault.seal(said, _bound(via, key))).decode()
    return f'{{"{SEALED}":"{sealed}","via":"{via}"}}'


def _bound(via: UUID, key: str) -> bytes:
    return via.bytes + key.encode()


def is_sealed(value: Any) -> bool:
    """Whether a stored value is a sealed one."""
    return isinstance(value, Mapping) and SEALED in value


def ring_of(value: Mapping[str, Any]) -> int:
    """The number of the key that a sealed value was sealed by."""
    return base64.b64decode(value[SEALED][:4])[0]


def said_in(vault: Vault, key: str, value: Mapping[str, Any]) -> str:
    """The JSON text in a sealed value. Raises LookupError when its key is missing, InvalidTag when it was moved."""
    return vault.open(base64.b64decode(value[SEALED]), _bound(UUID(value["via"]), key))


def opened(vault: Vault, key: str, value: Any) -> Any:
    """A stored value of the trait `key` in clear; what is not sealed is returned as it is."""
    return json.loads(said_in(vault, key, value)) if is_sealed(value) else value


def opened_traits(vault: Vault, traits: Mapping[str, Any]) -> dict[str, Any]:
    """Stored traits by name, in any spelling, in clear."""
    return {name: opened(vault, trait_key(name), value) for name, value in traits.items()}


def opened_body(vault: Vault, body: Mapping[str, Any]) -> dict[str, Any]:
    """A stored event's body in clear."""
    found = dict(body)
    if isinstance(found.get("traits"), dict):
        found["traits"] = opened_traits(vault, found["traits"])
    context = found.get("context")
    if isinstance(context, dict) and isinstance(context.get("traits"), dict):
        found["context"] = {**context, "traits": opened_traits(vault, context["traits"])}
    return found


def opened_record(settings: CommonSettings, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of trait, trait_edit, event or customer as it is stored, in clear: for whoever takes rows out whole."""
    vault, found = kept_vault(cast("SealingSettings", settings)), dict(row)
    for name in ("value", "first_value", "before"):
        if name in found:
            found[name] = opened(vault, found["key"], found[name])
    if isinstance(found.get("traits"), dict):
        found["traits"] = opened_traits(vault, found["traits"])
    if isinstance(found.get("body"), dict):
        found["body"] = opened_body(vault, found["body"])
    return found


def vault_of(session: ReadSession) -> Vault:
    """The ring of this process."""
    return kept_vault(cast("SealingSettings", settings_of(session)))


async def sealer(session: WriteSession) -> Sealer:
    """What seals in this transaction; from here to its end the definitions stay as they are.

    A savepoint that is rolled back lets go of the lock, so each has a sealer of its own.
    """
    within = session.sync_session.get_nested_transaction()
    known: tuple[Any, Sealer] | None = session.info.get("sealer")
    if known is None or known[0] is not within:
        await schema.hold(session)
        known = session.info["sealer"] = (within, Sealer(vault_of(session), await schema.in_force(session)))
    return known[1]


def opened_event(session: ReadSession, row: Row[Any]) -> Opened:
    """A row of the timeline with its traits in clear."""
    found = dict(row._mapping)  # noqa: SLF001 (the public name of it)
    return Opened(**{**found, "body": opened_body(vault_of(session), found["body"])})


def opened_row(session: ReadSession, row: Row[Any]) -> Opened:
    """A row of which `traits` are traits by key, in clear."""
    found = dict(row._mapping)  # noqa: SLF001
    return Opened(**{**found, "traits": opened_traits(vault_of(session), found["traits"] or {})})


def opened_details(session: ReadSession, row: Row[Any]) -> Opened:
    """A row of which `traits` are `{"value": …}` by key, in clear."""
    found, vault = dict(row._mapping), vault_of(session)  # noqa: SLF001
    details = found["traits"] or {}
    opened_ones = {key: {**said, "value": opened(vault, key, said["value"])} for key, said in details.items()}
    return Opened(**{**found, "traits": opened_ones})
