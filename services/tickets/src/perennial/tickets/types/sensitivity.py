"""How sensitive what a ticket holds is: what the form says of a field, and its name."""

from collections.abc import Iterable, Mapping

from perennial.common import masks
from perennial.common.auth import Principal
from perennial.common.masks import Sensitivity
from perennial.common.rules.values.paths import trait_path
from perennial.tickets.types.definition import FormField

PLAIN = frozenset({"type", "priority", "tier"})
_ORDER: tuple[Sensitivity, ...] = ("public", "personal", "sensitive")


def sensitivity_of(field: FormField) -> Sensitivity:
    """A field is what it was declared to be; one that is called `phone` is sensitive unless it is declared public."""
    declared: Sensitivity = field.sensitivity
    return "sensitive" if declared == "personal" and masks.class_of(field.name) == "sensitive" else declared


def strictest(forms: Iterable[Iterable[FormField]]) -> dict[str, Sensitivity]:
    """Of fields by name, over several forms."""
    found: dict[str, Sensitivity] = {}
    for form in forms:
        for field in form:
            both = (sensitivity_of(field), found.get(field.name, "public"))
            found[field.name] = max(both, key=_ORDER.index)
    return found


def of_path(path: str, fields: Mapping[str, Sensitivity]) -> Sensitivity:
    """Of what a dispatch rule reads: the ticket's own words, or `fields.<name>`."""
    key, (_, *steps) = trait_path(path)
    if key in PLAIN:
        return "public"
    name = steps[0].name if key == "fields" and steps else None
    if name is None:
        return "personal"
    return fields.get(name, "sensitive" if masks.class_of(name) == "sensitive" else "personal")


def sees(who: Principal, name: str, sensitivity: Sensitivity) -> bool:
    """Whether somebody sees a field of that name and class in clear."""
    return sensitivity == "public" or masks.sees_all(who) or not who.fields.isdisjoint({sensitivity, name})
