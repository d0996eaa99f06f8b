"""Traits, identifiers and events as a principal may see them."""

from collections.abc import Mapping
from typing import Any

from perennial.common.auth import Principal
from perennial.common.masks.fields import PEOPLE, class_of, sees, sees_all, sees_property, snake
from perennial.common.masks.values import text, value

IDS = frozenset({"user_id", "anonymous_id", "previous_id", "member_id"})
_OF_DEVICE = {"id": "device_id", "token": "push_token"}
_PLAIN_OF_DEVICE = frozenset({"type", "model", "manufacturer", "brand", "version", "ad_tracking_enabled", "platform"})


def identifier(principal: Principal, kind: str, clear: str) -> str:
    """An identifier as the principal may see it; an opaque id that is an e-mail address or a phone counts as one."""
    return text(principal, clear) if sees(principal, kind) else str(value(kind, clear))


def trait(principal: Principal, name: str, clear: Any) -> Any:
    """One trait's value as the principal may see it."""
    if sees_all(principal):
        return clear
    return held(principal, name, clear) if sees(principal, name) else value(name, clear)


def traits(principal: Principal, clear: Mapping[str, Any]) -> dict[str, Any]:
    """Traits by name."""
    return {text(principal, name): trait(principal, name, inner) for name, inner in clear.items()}


def properties(principal: Principal, clear: Mapping[str, Any]) -> dict[str, Any]:
    """An event's properties, at every depth."""
    if sees_all(principal):
        return dict(clear)
    return {text(principal, name): held(principal, name, inner, bare=False) for name, inner in clear.items()}


def held(principal: Principal, name: str, clear: Any, *, bare: bool = True) -> Any:
    """A value whose own name is no secret, by what is inside; not `bare`: a mere number is nobody's phone."""
    if isinstance(clear, bool):
        return clear
    if not sees_property(principal, name):
        return value(name, clear)
    if isinstance(clear, Mapping):
        if snake(name) in PEOPLE:
            return traits(principal, clear)
        return {text(principal, key): held(principal, key, inner, bare=bare) for key, inner in clear.items()}
    if isinstance(clear, list):
        return [held(principal, name, inner, bare=bare) for inner in clear]
    return _scalar(principal, clear, bare=bare or snake(name) in IDS)


def _scalar(principal: Principal, clear: Any, *, bare: bool) -> Any:
    """A number may be a phone, where a text of the same digits is taken for one."""
    if not isinstance(clear, str | int):
        return clear
    shown = text(principal, str(clear), bare=bare)
    return clear if shown == str(clear) else shown


def body(principal: Principal, clear: Mapping[str, Any]) -> dict[str, Any]:
    """A tracking event as it was sent: its ids, traits, properties and context."""
    if sees_all(principal):
        return dict(clear)
    return {text(principal, name): _part(principal, name, inner) for name, inner in clear.items()}


def _part(principal: Principal, name: str, clear: Any) -> Any:
    if name == "traits":
        return traits(principal, clear) if isinstance(clear, Mapping) else value(name, clear)
    if name == "context":
        return _context(principal, clear) if isinstance(clear, Mapping) else value(name, clear)
    return held(principal, name, clear, bare=False)


def _context(principal: Principal, clear: Mapping[str, Any]) -> dict[str, Any]:
    return {text(principal, name): _in_context(principal, name, inner) for name, inner in clear.items()}


def _in_context(principal: Principal, name: str, clear: Any) -> Any:
    field = snake(name)
    if field == "device" and isinstance(clear, Mapping):
        return {text(principal, key): _device(principal, key, inner) for key, inner in clear.items()}
    if field == "external_ids":
        return clear if sees(principal, "external_id") else value("external_id", clear)
    return held(principal, name, clear, bare=False)


def _device(principal: Principal, name: str, clear: Any) -> Any:
    field = _OF_DEVICE.get(snake(name), snake(name))
    if field in _PLAIN_OF_DEVICE or class_of(field) == "public":
        return held(principal, name, clear, bare=False)
    return trait(principal, field, clear)
