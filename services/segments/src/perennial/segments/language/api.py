"""Routes of the rule language: whatever takes a rule on this platform takes this one."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from perennial.common import rules
from perennial.common.auth import Principal, requires
from perennial.common.problems import Unprocessable
from perennial.common.rules import Rule, RuleError
from perennial.common.web import Read
from perennial.segments.language import queries
from perennial.segments.language.schemas import RuleIn, RuleSaid, SentenceIn

router = APIRouter(prefix="/v1/rules", tags=["rules"])
Reader = Annotated[Principal, Depends(requires("segments:read"))]


@router.get("/schema")
async def get_rule_schema(_: Reader) -> dict[str, Any]:
    """The JSON Schema (2020-12) of rules."""
    return rules.json_schema()


@router.post("/describe")
async def describe_rule(body: RuleIn, session: Read, _: Reader) -> RuleSaid:
    """A rule as one English and one Chinese sentence."""
    try:
        rule = rules.parse(dict(body.rule))
    except RuleError as error:
        raise Unprocessable(f"rule: {error}", code="invalid_rule", pointer=f"/rule{error.pointer}") from error
    return await _said(session, rule)


@router.post("/parse")
async def parse_sentence(body: SentenceIn, session: Read, _: Reader) -> RuleSaid:
    """The rule whose sentence this is, in the words that rules are printed in."""
    known = {name: segment for segment, name in (await queries.names(session)).items()}
    try:
        rule = rules.parse_sentence(body.sentence, body.language, segments=known)
    except RuleError as error:
        raise Unprocessable(f"sentence: {error}", code="invalid_sentence", pointer="/sentence") from error
    return await _said(session, rule)


async def _said(session: Read, rule: Rule) -> RuleSaid:
    names = await queries.names(session)
    said = {language: rules.describe(rule, language, segments=names) for language in ("en", "zh")}
    return RuleSaid(rule=rules.dump(rule), **said)
