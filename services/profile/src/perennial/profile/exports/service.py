"""Export a list: some customers a step, in the order in which they came, masked for who asked."""

from collections.abc import Mapping
from typing import Any

from perennial.common import audit, operations, rules
from perennial.common.auth import Principal
from perennial.common.db import WriteSession
from perennial.common.operations import OperationOut, Step
from perennial.profile.exports import files
from perennial.profile.exports.wanted import OWN, NewExport
from perennial.profile.search import queries
from perennial.profile.search import service as search
from perennial.profile.search.filters import Wanted
from perennial.profile.search.service import Asked

KIND = "customers.export"
AT_ONCE = 1_000
TELLING = ("q", "filter")  # of what is asked: a name may be in it


async def start(session: WriteSession, by: Principal, wanted: NewExport) -> OperationOut:
    """Have a list exported; what cannot be asked for is refused at once. Raises Forbidden and Unprocessable."""
    await search.search(session, await search.seeing(session, by), _asked(wanted), 1, [])
    given = wanted.model_dump(mode="json")
    started = await operations.start(session, by, KIND, given)
    detail = {**given, **{name: given[name] is not None for name in TELLING}}
    await audit.record(session, by, "customers.exported", f"operation/{started.id}", detail)
    return started


async def export(step: Step) -> Mapping[str, Any] | None:
    """The next customers behind `progress["cursor"]`, which commits with the lines that were written of them."""
    wanted = NewExport.model_validate(dict(step.input))
    columns = wanted.columns or list(OWN)
    who = await search.seeing(step.session, step.principal)
    cursor = step.progress.get("cursor", [])
    found = await search.search(step.session, who, _asked(wanted), AT_ONCE, cursor, queries.UNHURRIED)
    shown = [item.seen_by(who).model_dump(mode="json") for item in await search.items(step.session, found.ids)]
    begun = "begun" in step.progress
    name, media_type = files.KINDS[wanted.format]
    head = b"" if begun else files.head(wanted.format, columns, bom=wanted.bom)
    await step.append(name, head + files.lines(wanted.format, columns, shown), media_type)
    step.done += len(shown)
    if found.last is None:
        return {"customers": step.done, "file": name}
    step.progress.update(begun=True, cursor=found.last)
    return None


def _asked(wanted: NewExport) -> Asked:
    rule = None if wanted.filter is None else rules.parse(wanted.filter)
    return Asked(Wanted(tuple(wanted.tags), tuple(wanted.stages), wanted.segment, rule), wanted.q, sort="id")
