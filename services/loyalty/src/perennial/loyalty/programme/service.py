"""The programme's verbs: read it, replace it."""

import functools
from datetime import datetime

import structlog

from perennial.common import audit
from perennial.common.auth import Principal
from perennial.common.db import ReadSession, WriteSession, lock
from perennial.common.notify import STALE, notify
from perennial.common.web import Unprocessable
from perennial.common.web.etags import match
from perennial.loyalty.programme import queries
from perennial.loyalty.programme.definition import Currency, Definition, EarnRule, Programme, TierRule
from perennial.loyalty.programme.earning import Earner

log = structlog.get_logger()

# Version 1 of every deployment: one point for each whole unit of currency.
BUILT_IN = Earner(
    Programme(
        version=1,
        valid_from=None,
        earn_rules=[EarnRule(name="orders")],
        tiers=[
            TierRule(name="member", threshold=0),
            TierRule(name="silver", threshold=500),
            TierRule(name="gold", threshold=1500),
            TierRule(name="platinum", threshold=4000),
        ],
    )
)


@functools.lru_cache(maxsize=4096)  # all versions are read in turn: one more than fit, and none would be kept
def _earner(version: int, valid_from: datetime, definition: str) -> Earner:
    parsed = Definition.model_validate_json(definition)
    return Earner(Programme(version=version, valid_from=valid_from, **dict(parsed)))


_read = [BUILT_IN.programme]  # the newest version that this process has read


async def history(session: ReadSession) -> list[Earner]:
    """Every version there was, oldest first."""
    rows = await queries.versions(session)
    found = [BUILT_IN, *(_earner(row.version, row.valid_from, row.definition) for row in rows)]
    _read[0] = found[-1].programme
    return found


def remembered() -> Programme:
    """The version that was read last, of whichever database: for those who then find out whether it is in force."""
    return _read[0]


async def current(session: ReadSession) -> Programme:
    """The newest version."""
    return (await history(session))[-1].programme


async def code_of(session: ReadSession, code: str | None, *, spendable: bool = False) -> str:
    """The currency that a body means. Raises Unprocessable for one that there is not, or that is never spent."""
    return code_in(await current(session), code, spendable=spendable)


def code_in(rules: Definition, code: str | None, *, spendable: bool = False) -> str:
    """The currency of a programme that a body means. Raises Unprocessable, with `spendable` for growth value too."""
    found = _currency(rules, code)
    if found is None:
        raise Unprocessable(
            f"currency: the programme has no currency {code}", code="unknown_currency", pointer="/currency"
        )
    if spendable and found.kind == "growth":
        raise Unprocessable(f"currency: {found.code} is never spent", code="not_spendable", pointer="/currency")
    return found.code


def may_spend(rules: Definition, code: str | None) -> bool:
    """Whether a programme has such a currency, and it can be spent."""
    found = _currency(rules, code)
    return found is not None and found.kind != "growth"


def _currency(rules: Definition, code: str | None) -> Currency | None:
    return next((item for item in rules.currencies if item.code == (code or rules.main.code)), None)


def keeps_currencies(before: Definition, definition: Definition) -> None:
    """Raises Unprocessable for a version without a currency that customers may have."""
    gone = sorted({item.code for item in before.currencies} - {item.code for item in definition.currencies})
    if gone:
        raise Unprocessable(
            f"currencies: {', '.join(gone)} must stay: customers have some", code="currency_in_use",
            pointer="/currencies",
        )  # fmt: skip


async def replace(
    session: WriteSession, principal: Principal, expected: int | None, definition: Definition
) -> Programme:
    """Put a new version in force; everybody's tier is looked at again. Raises PreconditionFailed, Unprocessable."""
    await lock(session, "loyalty", "programme")
    before = await current(session)
    match(expected, before.version)
    keeps_currencies(before, definition)
    version = before.version + 1
    said = definition.model_dump_json(include=set(Definition.model_fields))
    await queries.insert(session, version, said, principal.id)
    await audit.record(session, principal, "programme.replaced", "programme", {"version": version})
    await queries.mark_everyone(session)
    await notify(session, STALE)
    log.info("programme.replaced", version=version)
    return await current(session)
