"""What an event says of whose it is: its identifiers, normalised, strongest first."""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from perennial.common.contracts.gateway import AcceptedEvent
from perennial.common.identifiers import KINDS, blind_index, normalise
from perennial.identity.policy.rules import DEFAULT, Policy

CACHED = 50_000
MOST_EXTERNAL = 20

# The spellings of external id types that are kinds of ours; any other is an `external_id` of the form `type:id`.
_EXTERNAL = {
    **{name: name for name in KINDS if name != "external_id"},
    **dict.fromkeys(("android.id", "android.idfa", "ios.id", "ios.idfa"), "device_id"),
    **dict.fromkeys(("android.push_token", "ios.push_token"), "push_token"),
    **dict.fromkeys(("wechat.openid", "openid"), "wechat_openid"),
    **dict.fromkeys(("wechat.unionid", "unionid"), "wechat_unionid"),
}
_NOT_A_PERSON = frozenset({"group_id"})


class Trace(NamedTuple):
    """One identifier as an event bears it; `digest` is its blind index, `rule` the name of the rule it is under."""

    rank: int
    digest: bytes
    kind: str
    value: str
    rule: str


class _Traits(msgspec.Struct, gc=False):
    email: Any = msgspec.UNSET
    phone: Any = msgspec.UNSET
    member_id: Any = msgspec.UNSET
    member_id_camel: Any = msgspec.field(default=msgspec.UNSET, name="memberId")
    wechat_openid: Any = msgspec.UNSET
    wechat_openid_camel: Any = msgspec.field(default=msgspec.UNSET, name="wechatOpenid")
    wechat_unionid: Any = msgspec.UNSET
    wechat_unionid_camel: Any = msgspec.field(default=msgspec.UNSET, name="wechatUnionid")


class _Device(msgspec.Struct, gc=False):
    id: Any = None
    token: Any = None


# What clients send in place of an object is not worth an error.
_Junk = str | int | float | bool | list[Any] | None


class _Context(msgspec.Struct, gc=False):
    traits: _Traits | _Junk = None
    device: _Device | _Junk = None
    external_ids: Any = msgspec.field(default=None, name="externalIds")


class _Said(msgspec.Struct, gc=False):
    user_id: Any = msgspec.field(default=None, name="userId")
    anonymous_id: Any = msgspec.field(default=None, name="anonymousId")
    previous_id: Any = msgspec.field(default=None, name="previousId")
    traits: _Traits | _Junk = None
    context: _Context | _Junk = None


_DECODER = msgspec.json.Decoder(_Said)
_TRAITS = (
    ("email", ("email",)),
    ("phone", ("phone",)),
    ("member_id", ("member_id", "member_id_camel")),
    ("wechat_openid", ("wechat_openid", "wechat_openid_camel")),
    ("wechat_unionid", ("wechat_unionid", "wechat_unionid_camel")),
)


class Reader:
    """Reads the identifiers of events; values seen lately are remembered, normalising a phone number is dear."""

    def __init__(self, key: bytes, region: str, policy: Policy = DEFAULT) -> None:
        self._key = key
        self._region = region
        self._policy = policy
        self.trace = functools.lru_cache(CACHED)(self._trace)

    def _trace(self, kind: str, value: str) -> Trace | None:
        normal = normalise(kind, value, self._region)
        if normal is None:
            return None
        name = self._policy.named(kind, normal)
        rule = self._policy.rules[name]
        if rule.blocks(normal if name == kind else normal.partition(":")[2]):
            return None
        return Trace(rule.rank, blind_index(self._key, kind, normal), kind, normal, name)

    def under(self, policy: Policy) -> "Reader":
        """The same under another policy."""
        return Reader(self._key, self._region, policy)

    def traces(self, event: AcceptedEvent) -> list[Trace]:
        """The identifiers of an event, strongest first, each once; blocked and malformed ones are ignored."""
        found = [trace for kind, value in _said(event) if (text := _text(value)) and (trace := self.trace(kind, text))]
        if len(found) > 1:
            found = sorted(dict.fromkeys(found), key=_rank)
        return found


def _rank(trace: Trace) -> int:
    return trace.rank


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _said(event: AcceptedEvent) -> Iterator[tuple[str, Any]]:
    """Kind and value of whatever may identify somebody, as it was sent."""
    said = _DECODER.decode(event.body)
    if said.user_id:
        yield "user_id", said.user_id
    if said.anonymous_id:
        yield "anonymous_id", said.anonymous_id
    if event.type == "alias" and said.previous_id and said.previous_id != said.user_id:
        yield "anonymous_id", said.previous_id
    context = said.context if isinstance(said.context, _Context) else None
    hints = context.traits if context and isinstance(context.traits, _Traits) else None
    # The traits of a group are an account's, not the person's.
    own = said.traits if isinstance(said.traits, _Traits) and event.type != "group" else None
    if own or hints:
        yield from _from_traits(own, hints)
    if context:
        yield from _from_context(context)


def _from_traits(own: _Traits | None, hints: _Traits | None) -> Iterator[tuple[str, Any]]:
    """The event's own traits lie over those of its context."""
    for kind, spellings in _TRAITS:
        for spelling in spellings:
            value = getattr(own, spelling, msgspec.UNSET)
            if value is msgspec.UNSET:
                value = getattr(hints, spelling, None)
            if value:
                yield kind, value


def _from_context(context: _Context) -> Iterator[tuple[str, Any]]:
    if isinstance(context.device, _Device):
        yield "device_id", context.device.id
        yield "push_token", context.device.token
    if isinstance(context.external_ids, list):
        for item in context.external_ids[:MOST_EXTERNAL]:
            if isinstance(item, dict):
                yield from _external(item)


def _external(item: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    name, value = _text(item.get("type")).strip(), _text(item.get("id")).strip()
    if not name or not value or name in _NOT_A_PERSON or item.get("collection", "users") != "users":
        return
    kind = _EXTERNAL.get(name)
    yield (kind, value) if kind else ("external_id", f"{name}:{value}")
