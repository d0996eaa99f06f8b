"""Who sees what in clear: an allow-list. What nobody allowed is shown masked, in every way out of a service.

A field is public, personal or sensitive. Public ones are always shown; the others to a principal whose `fields` name
the field, its class or `*`. Customers see themselves. A trait that nobody has classed is personal, so a new one is
never shown by accident; a property of an event is public unless its name, or what it looks like, says otherwise. A
service that knows its shop's own classes puts them into the principal (`classes`); the others judge by names.

Answers are masked where they are made, once (`trait`, `traits`, `identifier`, `properties`, `body`, `text`); what is
stored is never masked. Whoever takes a rule from a principal calls `check_rule`, shows it by `shown_rule`; a search
looks only into what is `searchable`.
"""

from perennial.common.masks.events import body, held, identifier, properties, trait, traits
from perennial.common.masks.fields import (
    CLASSES,
    EVERYTHING,
    REVEAL,
    Sensitivity,
    class_of,
    covers,
    hidden,
    sees,
    sees_all,
    sees_property,
    snake,
)
from perennial.common.masks.guesses import tells
from perennial.common.masks.rules import check_rule, compared_value, shown_conditions, shown_rule
from perennial.common.masks.search import search_parameters, searchable
from perennial.common.masks.values import HIDDEN, error, text, value

__all__ = [
    "CLASSES",
    "EVERYTHING",
    "HIDDEN",
    "REVEAL",
    "Sensitivity",
    "body",
    "check_rule",
    "class_of",
    "compared_value",
    "covers",
    "error",
    "held",
    "hidden",
    "identifier",
    "properties",
    "search_parameters",
    "searchable",
    "sees",
    "sees_all",
    "sees_property",
    "shown_conditions",
    "shown_rule",
    "snake",
    "tells",
    "text",
    "trait",
    "traits",
    "value",
]
