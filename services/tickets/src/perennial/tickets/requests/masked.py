"""What of a ticket somebody sees: its texts are personal, its form's fields are what the form says they are."""

from collections.abc import Mapping
from typing import Any

from perennial.common import masks, prose
from perennial.common.auth import Principal
from perennial.common.masks import Sensitivity
from perennial.tickets.types.definition import FormField
from perennial.tickets.types.sensitivity import of_path, sees, sensitivity_of

TEXTS = ("subject", "description", "resolution", "score_comment")
Form = Mapping[str, FormField]


def ticket(who: Principal, form: Form, columns: Mapping[str, Any]) -> dict[str, Any]:
    """A ticket's columns."""
    texts = {name: prose.private(who, columns[name]) for name in TEXTS}
    return {**columns, **texts, "fields": {name: _field(who, form, name, held) for name, held in _fields(columns)}}


def _fields(columns: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return list(columns["fields"].items())


def _field(who: Principal, form: Form, name: str, held: Any) -> Any:
    field = form.get(name)
    if not sees(who, name, sensitivity_of(field) if field is not None else "personal"):
        return masks.value(name, held)
    return prose.masked(who, held) if isinstance(held, str) and field is not None and field.type == "text" else held


def event(who: Principal, form: Form, kind: str, detail: Mapping[str, Any]) -> dict[str, Any]:
    """The detail of a line of history."""
    if masks.sees_all(who):
        return dict(detail)
    if kind == "commented":
        return {**detail, "text": prose.private(who, detail.get("text"))}
    if kind == "closed":
        return {**detail, "resolution": prose.private(who, detail.get("resolution"))}
    if kind == "dispatched" and isinstance(detail.get("rule"), Mapping):
        told = detail["rule"]
        return {**detail, "rule": {**told, "because": [_reason(who, form, item) for item in told.get("because", [])]}}
    return dict(prose.within(who, detail))


def _reason(who: Principal, form: Form, item: Mapping[str, Any]) -> dict[str, Any]:
    """Why a rule held; of a decision from before traits were noted, nothing is known of what was compared."""
    known: dict[str, Sensitivity] = {name: sensitivity_of(field) for name, field in form.items()}
    trait = item.get("trait")
    sensitivity = "sensitive" if "trait" not in item else "public" if trait is None else of_path(trait, known)
    if sees(who, trait or "", sensitivity) and (sensitivity == "public" or prose.sees_private(who)):
        return dict(prose.within(who, item))
    return {**item, "condition": prose.HIDDEN, "value": prose.HIDDEN}
