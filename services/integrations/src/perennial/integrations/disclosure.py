"""What an endpoint gets in clear: allow-lists, and the bytes of a message as one of them leaves it."""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel

from perennial.common import masks, prose
from perennial.common.auth import Principal
from perennial.common.contracts import Event, catalogue


def meet(one: Collection[str], other: Collection[str]) -> list[str]:
    """The allow-list that shows what both show."""
    both = {field for field in one if masks.covers(other, field)}
    both |= {field for field in other if masks.covers(one, field)}
    return sorted(both)


def beyond(fields: Iterable[str], seen: Collection[str]) -> list[str]:
    """The entries of a list that show more than the other one does."""
    return [field for field in fields if not masks.covers(seen, field)]


def private(fields: Iterable[str]) -> list[str]:
    """The entries of a list that are not public anyway."""
    return beyond(fields, ())


def clear(event: Event) -> dict[str, Any]:
    """A message as nothing masks it."""
    timestamp = event.occurred_at.isoformat().replace("+00:00", "Z")
    data = event.model_dump(mode="json", exclude={"id", "occurred_at"})
    return {"type": event.subject, "timestamp": timestamp, "data": data}


def encode(message: Mapping[str, Any]) -> bytes:
    """The bytes that are signed."""
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()


def forms(message: Mapping[str, Any]) -> tuple[bytes, bytes | None]:
    """A message as it is when nothing is shown in clear, and the whole of it where that is more."""
    public = masked(message, ())
    return encode(public), encode(message) if public != message else None


def masked(message: Mapping[str, Any], fields: Collection[str]) -> dict[str, Any]:
    """A message as an allow-list leaves it; `masked` points to what is not its true value, lest partners keep it.

    The same message and the same list give the same answer, so that every attempt has the same bytes.
    """
    contract = catalogue().get(message["type"])
    if contract is None:
        return dict(message)
    who = Principal("service", "webhook", frozenset(), None, frozenset(fields))
    data = _shown(who, contract, message["data"])
    changed = sorted(_changed("", message["data"], data))
    return {**message, "data": data, **({"masked": changed} if changed else {})}


def is_personal(message: Mapping[str, Any]) -> bool:
    """Whether it makes a difference who gets a message."""
    return masked(message, ()) != message


def _shown(who: Principal, model: type[BaseModel], data: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, held in data.items():
        info = model.model_fields.get(name)
        extra = info.json_schema_extra if info is not None and isinstance(info.json_schema_extra, dict) else {}
        mark = extra.get("x-personal")
        if held is None or info is None:
            shown[name] = held
        elif mark is None:
            shown[name] = _inside(who, info.annotation, held)
        elif mark != "sensitive":
            shown[name] = _marked(who, mark, held)
        elif {masks.EVERYTHING, "sensitive", name} & who.fields:
            shown[name] = held
    return shown


def _inside(who: Principal, annotation: Any, held: Any) -> Any:
    """Parts of facts have fields of their own."""
    part = next((inner for inner in (annotation, *get_args(annotation)) if _is_part(inner)), None)
    if part is None:
        return held
    return [_shown(who, part, item) for item in held] if isinstance(held, list) else _shown(who, part, held)


def _is_part(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _marked(who: Principal, mark: object, held: Any) -> Any:
    match mark:
        case "traits":
            return masks.traits(who, held)
        case "reference":
            return prose.reference(who, held)
        case "prose":
            return prose.masked(who, held)
        case _:
            return prose.private(who, held)


def _changed(at: str, before: Any, after: Any) -> Iterable[str]:
    """JSON pointers into `data` to what reads otherwise; what was left out is not there to be mistaken."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in after:
            yield from _changed(f"{at}/{name.replace('~', '~0').replace('/', '~1')}", before.get(name), after[name])
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, pair in enumerate(zip(before, after, strict=True)):
            yield from _changed(f"{at}/{index}", *pair)
    elif before != after:
        yield at
