"""The edit form of a customer's traits as a document: JSON Schema 2020-12 of the values, and how to lay them out."""

import re
from collections.abc import Iterable
from typing import Any

from perennial.common import masks
from perennial.common.auth import Principal
from perennial.profile.traits.definitions.kinds import LONGEST_TEXT, MOST_ITEMS
from perennial.profile.traits.definitions.presets import GROUPS
from perennial.profile.traits.definitions.schemas import Label, TraitDefined, TraitShown

LANGUAGES = ("en", "zh")
_QUALITY = re.compile(r"[0-9]{1,3}(\.[0-9]{0,9})?|\.[0-9]{1,9}")
_NUMBER = {"type": "number", "exclusiveMinimum": -1e30, "exclusiveMaximum": 1e30}
_AMOUNT = r"^-?[0-9]{1,30}(\.[0-9]{1,15})?$"
_ITEMS: dict[str, dict[str, Any]] = {
    "string": {"type": "string", "maxLength": LONGEST_TEXT},
    "number": _NUMBER,
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
    "object": {"type": "object"},
}
_WIDGETS = {
    "string": "text", "enum": "select", "boolean": "checkbox", "list": "list", "object": "json", "geo": "map",
}  # fmt: skip


def document(traits: Iterable[TraitShown], who: Principal, language: str, revision: str) -> dict[str, Any]:
    """The form for a principal: what it does not see in clear is masked, and what it must not change is read-only."""
    defined = [item.definition for item in traits if item.definition is not None]
    properties = {item.key: value_schema(item, language) | _access(item, who) for item in defined}
    groups: dict[str, list[TraitDefined]] = {}
    for item in sorted(defined, key=lambda item: (item.order, item.key)):
        groups.setdefault(item.group, []).append(item)
    names = {key: (en, zh) for key, en, zh in GROUPS}
    order = [*(key for key in names if key in groups), *sorted(groups.keys() - names.keys())]
    return {
        "language": language,
        "revision": revision,
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": properties,
        },
        "layout": [
            {
                "group": key,
                "label": _group_label(names.get(key), key, language),
                "fields": [_field(item, properties[item.key], language) for item in groups[key]],
            }
            for key in order
        ],
    }


def value_schema(item: TraitDefined, language: str = "en") -> dict[str, Any]:
    """JSON Schema of a trait's values; null clears, unless it is required."""
    found = _value(item) | {"title": _said(item.label, language)}
    if item.description:
        found["description"] = item.description
    if item.required:
        return found
    kind = found.pop("type")
    found["type"] = [*([kind] if isinstance(kind, str) else kind), "null"]
    if "enum" in found:
        found["enum"] = [*found["enum"], None]
    return found


def _value(item: TraitDefined) -> dict[str, Any]:
    if item.type == "string":
        limits = {"minLength": item.min_length or 0, "maxLength": item.max_length or LONGEST_TEXT}
        return {"type": "string", **limits, **({"pattern": f"^(?:{item.pattern})$"} if item.pattern else {})}
    if item.type == "number":
        bounds = {name: float(said) for name, said in _bounds(item)}
        return {**_NUMBER, **bounds, "type": "integer" if item.whole else "number"}
    if item.type in {"date", "datetime"}:
        bounds_in_time = {f"format{name.capitalize()}": said for name, said in _bounds(item)}
        return {**_ITEMS[item.type], **bounds_in_time}
    if item.type == "enum":
        return {"type": "string", "enum": [choice.value for choice in item.values or ()]}
    if item.type == "list":
        return {"type": "array", "maxItems": item.max_items or MOST_ITEMS, "items": _ITEMS[item.items or "string"]}
    return _compound(item)


def _bounds(item: TraitDefined) -> list[tuple[str, str]]:
    said = (("minimum", item.minimum), ("maximum", item.maximum))
    return [(name, value) for name, value in said if value is not None]


def _compound(item: TraitDefined) -> dict[str, Any]:
    if item.type == "money":
        currency: dict[str, Any] = {"type": "string", "pattern": "^[A-Z]{3}$"}
        if item.currency:
            currency["default"] = item.currency
        bounds = {f"amount{name.capitalize()}": said for name, said in _bounds(item)}
        amount = {"type": "string", "pattern": _AMOUNT}
        return _object({"amount": amount, "currency": currency}) | bounds
    if item.type == "geo":
        latitude, longitude = ({"type": "number", "minimum": -most, "maximum": most} for most in (90, 180))
        return _object({"lat": latitude, "lng": longitude})
    return dict(_ITEMS.get(item.type, {"type": "boolean"}))


def _object(members: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


def _access(item: TraitDefined, who: Principal) -> dict[str, Any]:
    hidden = not masks.sees(who, item.key)
    return {"readOnly": True} if hidden or item.strategy == "sum" or not who.may("customers:write") else {}


def _field(item: TraitDefined, made: dict[str, Any], language: str) -> dict[str, Any]:
    hidden = made.get("readOnly", False)
    widget = _WIDGETS.get(item.type, item.type)
    found: dict[str, Any] = {
        "key": item.key, "label": made["title"], "widget": widget, "required": item.required, "read_only": hidden,
    }  # fmt: skip
    if item.values:
        found["options"] = [
            {"value": one.value, "label": _said(one.label, language) if one.label else one.value} for one in item.values
        ]
    return found


def _said(label: Label, language: str) -> str:
    return label.zh or label.en if language == "zh" else label.en


def _group_label(known: tuple[str, str] | None, key: str, language: str) -> str:
    if known is None:
        return key.replace("_", " ").capitalize()
    return known[LANGUAGES.index(language)]


def language_of(asked: str | None, accept: str | None) -> str:
    """The language asked for, or the one of ours that a client likes best (RFC 9110, 12.5.4); else English."""
    if asked is not None:
        return asked
    found = []
    for place, part in enumerate((accept or "").split(",")):
        name, _, quality = part.strip().partition(";")
        weight = quality.strip().removeprefix("q=") or "1"
        if name[:2].lower() in LANGUAGES and _QUALITY.fullmatch(weight):
            found.append((-float(weight), place, name[:2].lower()))
    return min(found)[2] if found else "en"
