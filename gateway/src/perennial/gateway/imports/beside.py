"""What a row says besides traits: tags and consents, in one event of its own."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from perennial.gateway.imports.cells import Invalid, read
from perennial.gateway.imports.targets import Target

LONGEST_EVIDENCE = 200
_GIVEN = frozenset({"given", "granted", "opt_in", "optin", "opted_in", "subscribed", "同意", "已同意", "订阅"})
_WITHDRAWN = frozenset(
    {"withdrawn", "denied", "opt_out", "optout", "opted_out", "unsubscribed", "撤回", "不同意", "拒绝", "退订"}
)


def said(
    targets: Sequence[Target], cells: Sequence[str], givable: Collection[str], now: datetime
) -> dict[str, Any]:  # fmt: skip
    """The properties of the event; empty where the row says nothing of the kind. Raises Invalid."""
    tags: dict[str, bool] = {}
    consents: list[dict[str, Any]] = []
    for target in targets:
        cell, to = cells[target.place].strip(), target.column.to
        if not cell:
            continue
        if to == "tag":
            tags[str(target.column.key)] = read(target.name, cell, "boolean")
        elif to == "tags":
            tags |= _listed(target, cell, givable)
        elif to == "consent":
            consents.append(_consent(target, cell, cells, now))
    return {name: value for name, value in (("tags", tags), ("consents", consents)) if value}


def _listed(target: Target, cell: str, givable: Collection[str]) -> dict[str, bool]:
    keys = read(target.name, cell, "list")
    unknown = next((key for key in keys if key not in givable), None)
    if unknown is not None:
        raise Invalid(target.name, "unknown_tag", "one of the tags is none that a file may give")
    return dict.fromkeys(keys, True)


def _consent(target: Target, cell: str, cells: Sequence[str], now: datetime) -> dict[str, Any]:
    column = target.column
    found: dict[str, Any] = {"purpose": column.purpose, "channel": column.channel, "granted": _granted(target, cell)}
    if target.at is not None and (at := cells[target.at].strip()):
        found["at"] = read(target.name, at, "datetime")
        if datetime.fromisoformat(found["at"]) > now:
            raise Invalid(target.name, "in_future", "it cannot have been said in the future")
    if target.evidence is not None and (evidence := cells[target.evidence].strip()):
        if len(evidence) > LONGEST_EVIDENCE or "\0" in evidence:
            why = f"the evidence has NUL, or more than {LONGEST_EVIDENCE} characters"
            raise Invalid(target.name, "invalid_evidence", why)
        found["evidence"] = evidence
    if column.separate:
        found["separate"] = True
    if column.text_locale and column.text_version:
        found |= {"text_locale": column.text_locale, "text_version": column.text_version}
    return found


def _granted(target: Target, cell: str) -> bool:
    word = cell.casefold().replace("-", "_").replace(" ", "_")
    if word in _GIVEN or word in _WITHDRAWN:
        return word in _GIVEN
    try:
        granted: bool = read(target.name, cell, "boolean")
    except Invalid as error:
        raise Invalid(target.name, "not_a_consent", "the value is neither given nor withdrawn") from error
    return granted
